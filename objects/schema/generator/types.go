package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"
	"sort"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Types with a form of their own in JSON or protobuf: the schema knows them by a word.
var leaves = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():          "time",
	reflect.TypeFor[metav1.MicroTime]():     "microtime",
	reflect.TypeFor[metav1.Duration]():      "duration",
	reflect.TypeFor[resource.Quantity]():    "quantity",
	reflect.TypeFor[intstr.IntOrString]():   "intorstring",
	reflect.TypeFor[runtime.RawExtension](): "extension",
	reflect.TypeFor[apiextensionsv1.JSON](): "json",
	reflect.TypeFor[metav1.FieldsV1]():      "fieldsv1",
	reflect.TypeFor[any]():                  "any",
	reflect.TypeFor[[]byte]():               "bytes",
}

var unions = map[reflect.Type]string{
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrArray]():       "orarray",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrBool]():        "orbool",
	reflect.TypeFor[apiextensionsv1.JSONSchemaPropsOrStringArray](): "orstrings",
}

// What the scheme knows and what those types reach.
type walk struct {
	kinds   map[reflect.Type][]schema.GroupVersionKind
	reached map[reflect.Type]bool
	queue   []reflect.Type
}

func writeTypes(out *bufio.Writer, facts map[string]*typeFacts) {
	w := walk{map[reflect.Type][]schema.GroupVersionKind{}, map[reflect.Type]bool{}, nil}
	scheme := runtime.NewScheme()
	for _, add := range packages {
		check(add(scheme))
	}
	for kind, t := range scheme.AllKnownTypes() {
		// Options and watch events are registered for every group version; the schema knows that by itself.
		meta := packageName(t) == "meta/v1"
		if kind.Version == runtime.APIVersionInternal || meta && kind.GroupVersion().String() != "v1" && kind.Group != "meta.k8s.io" {
			continue
		}
		if packageName(t) == "watch" {
			continue
		}
		w.kinds[t] = append(w.kinds[t], kind)
		w.reach(t)
	}
	w.reach(reflect.TypeFor[metav1.Preconditions]())
	w.reach(reflect.TypeFor[metav1.APIGroupList]())
	w.reach(reflect.TypeFor[metav1.APIResourceList]())
	var texts []string
	for len(w.queue) > 0 {
		t := w.queue[0]
		w.queue = w.queue[1:]
		texts = append(texts, w.describe(t, facts))
	}
	sort.Strings(texts)
	for _, text := range texts {
		out.WriteString(text)
	}
}

func (w *walk) reach(t reflect.Type) {
	if t.Kind() != reflect.Struct {
		fail("%v is no struct", t)
	}
	if !w.reached[t] {
		w.reached[t] = true
		w.queue = append(w.queue, t)
	}
}

func (w *walk) describe(t reflect.Type, facts map[string]*typeFacts) string {
	var text strings.Builder
	name := openapiName(t)
	known := facts[name]
	fmt.Fprintf(&text, "type %s.%s %s", packageName(t), t.Name(), strings.TrimSuffix(name, "."+t.Name()))
	if known == nil {
		known = &typeFacts{}
	} else {
		text.WriteString(" published")
	}
	if known.MapType != "" {
		fmt.Fprintf(&text, " map=%s", word(known.MapType))
	}
	text.WriteString("\n")
	kinds := w.kinds[t]
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	for _, kind := range kinds {
		fmt.Fprintf(&text, "kind %s %s%s\n", groupVersion(kind.Group, kind.Version), kind.Kind, deprecation(t))
	}
	for _, union := range known.Unions {
		text.WriteString("union " + orDash(union.Discriminator))
		names := make([]string, 0, len(union.Fields))
		for field := range union.Fields {
			names = append(names, field)
		}
		sort.Strings(names)
		for _, field := range names {
			fmt.Fprintf(&text, " %s=%s", field, union.Fields[field])
		}
		text.WriteString("\n")
	}
	w.fields(&text, t, t, known)
	return text.String()
}

func (w *walk) fields(text *strings.Builder, outer, t reflect.Type, known *typeFacts) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, hasTag := field.Tag.Lookup("json")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		if !hasTag {
			fail("%v.%s has no json tag", t, field.Name)
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" && field.Anonymous {
			w.inline(text, outer, field, known)
			continue
		}
		if name == "" {
			fail("%v.%s has no name in JSON", t, field.Name)
		}
		w.field(text, outer, field, name, strings.Split(options, ","), known)
	}
}

func (w *walk) inline(text *strings.Builder, outer reflect.Type, field reflect.StructField, known *typeFacts) {
	t := field.Type
	pointer := ""
	if t.Kind() == reflect.Pointer {
		t, pointer = t.Elem(), "*"
	}
	fmt.Fprintf(text, "inline %s %s%d\n", word(field.Name), pointer, protobufTag(field))
	w.fields(text, outer, t, known)
	text.WriteString("end\n")
}

func (w *walk) field(
	text *strings.Builder, outer reflect.Type, field reflect.StructField, name string, options []string, known *typeFacts,
) {
	shape, expected := w.shape(field.Type, outer)
	fmt.Fprintf(text, " %s %s %d", word(name), shape, protobufTag(field))
	bare := field.Type
	for bare.Kind() == reflect.Pointer {
		bare = bare.Elem()
	}
	empty, zero := slices.Contains(options, "omitempty"), slices.Contains(options, "omitzero")
	if zero && !empty && (bare.Kind() == reflect.Slice || bare.Kind() == reflect.Map) {
		fail("%v.%s: an empty list is not its zero value", outer, name)
	}
	if zero {
		text.WriteString(" omitzero")
	} else if empty {
		text.WriteString(" omitempty")
	}
	property := known.Properties[name]
	if slices.Contains(known.Required, name) {
		text.WriteString(" required")
	}
	writeOption(text, "list", property.ListType)
	writeOption(text, "keys", strings.Join(property.MapKeys, "|"))
	writeOption(text, "map", property.MapType)
	writeOption(text, "patch", strings.ReplaceAll(field.Tag.Get("patchStrategy"), ",", "+"))
	writeOption(text, "key", field.Tag.Get("patchMergeKey"))
	if printed := bare.String(); printed != expected {
		writeOption(text, "go", strings.ReplaceAll(printed, " ", ""))
	}
	// Values may hold spaces: they stand behind everything but the default.
	if len(property.Enum) > 0 {
		fmt.Fprintf(text, " enum=%s", strings.Join(property.Enum, "|"))
	}
	if property.Default != nil {
		value, err := json.Marshal(property.Default)
		check(err)
		if !follows(string(value), field.Type, empty || zero) {
			fmt.Fprintf(text, " default=%s", value)
		}
	}
	text.WriteString("\n")
}

// Defaults that only say what Go's zero value is follow from the shape, where Go cannot leave it out.
func follows(value string, t reflect.Type, omitted bool) bool {
	if value == "{}" {
		return t.Kind() == reflect.Struct
	}
	return !omitted && t.Kind() != reflect.Pointer && (value == `""` || value == "0" || value == "false")
}

// The word of a type, and what Go would call it if its parts had no names of their own.
func (w *walk) shape(t reflect.Type, outer reflect.Type) (string, string) {
	if leaf, ok := leaves[t]; ok {
		return leaf, t.String()
	}
	if union, ok := unions[t]; ok {
		w.reach(reflect.TypeFor[apiextensionsv1.JSONSchemaProps]())
		return union, t.String()
	}
	switch t.Kind() {
	case reflect.Pointer:
		word, expected := w.shape(t.Elem(), outer)
		return "*" + word, expected
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes", "[]uint8"
		}
		word, expected := w.shape(t.Elem(), outer)
		if _, wrapped := t.MethodByName("MarshalTo"); wrapped {
			return "wrapped[]" + word, "[]" + expected
		}
		return "[]" + word, "[]" + expected
	case reflect.Map:
		word, expected := w.shape(t.Elem(), outer)
		if t.Key().Kind() != reflect.String {
			fail("%v is no map by string", t)
		}
		return "map[]" + word, "map[string]" + expected
	case reflect.Struct:
		w.reach(t)
		if packageName(t) == packageName(outer) {
			return "." + t.Name(), t.String()
		}
		return packageName(t) + "." + t.Name(), t.String()
	case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float64, reflect.String:
		return t.Kind().String(), t.Kind().String()
	}
	fail("%v: %v has no shape", outer, t)
	return "", ""
}

func writeOption(text *strings.Builder, name, value string) {
	if value != "" {
		if strings.ContainsAny(value, " \n=") {
			fail("%s %q cannot stand in the fact file", name, value)
		}
		fmt.Fprintf(text, " %s=%s", name, value)
	}
}

func protobufTag(field reflect.StructField) int {
	tag := field.Tag.Get("protobuf")
	if tag == "" {
		return 0
	}
	var number int
	_, err := fmt.Sscanf(strings.Split(tag, ",")[1], "%d", &number)
	check(err)
	return number
}

// core/v1, meta/v1, apiextensions/v1.
func packageName(t reflect.Type) string {
	full := t.PkgPath()
	if base := path.Base(full); !strings.HasPrefix(base, "v") {
		return base
	}
	return path.Join(path.Base(path.Dir(full)), path.Base(full))
}

func openapiName(t reflect.Type) string {
	full := strings.Replace(t.PkgPath(), "k8s.io/", "io.k8s.", 1)
	return strings.ReplaceAll(full, "/", ".") + "." + t.Name()
}

func groupVersion(group, version string) string {
	if group == "" {
		return version
	}
	return group + "/" + version
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return word(text)
}

// Since when a kind is deprecated, until when it is served, and what takes its place.
func deprecation(t reflect.Type) string {
	value := reflect.New(t).Interface()
	since, ok := value.(interface{ APILifecycleDeprecated() (int, int) })
	if !ok {
		return ""
	}
	major, minor := since.APILifecycleDeprecated()
	text := fmt.Sprintf(" since=%d.%d", major, minor)
	if removed, ok := value.(interface{ APILifecycleRemoved() (int, int) }); ok {
		major, minor := removed.APILifecycleRemoved()
		text += fmt.Sprintf(" removed=%d.%d", major, minor)
	}
	if place, ok := value.(interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}); ok {
		kind := place.APILifecycleReplacement()
		text += fmt.Sprintf(" replacement=%s,%s", groupVersion(kind.Group, kind.Version), kind.Kind)
	}
	return text
}
