package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What OpenAPI says of a type, and what Go does not.
type typeFacts struct {
	Required   []string                 `json:"required"`
	MapType    string                   `json:"x-kubernetes-map-type"`
	Unions     []unionFacts             `json:"x-kubernetes-unions"`
	Properties map[string]propertyFacts `json:"properties"`
}

type unionFacts struct {
	Discriminator string            `json:"discriminator"`
	Fields        map[string]string `json:"fields-to-discriminateBy"`
}

type propertyFacts struct {
	Type     string   `json:"type"`
	Format   string   `json:"format"`
	Default  any      `json:"default"`
	ListType string   `json:"x-kubernetes-list-type"`
	MapKeys  []string `json:"x-kubernetes-list-map-keys"`
	MapType  string   `json:"x-kubernetes-map-type"`
	Enum     []string `json:"-"`
}

// The schemas of the published documents by their names, with the enumerations that only the generated Go source
// holds: the published documents are written with that feature off, the server's own are not.
func readOpenAPI(documents, source string) map[string]*typeFacts {
	all := map[string]*typeFacts{}
	paths, err := filepath.Glob(filepath.Join(documents, "*.json"))
	check(err)
	for _, path := range paths {
		var document struct {
			Components struct {
				Schemas map[string]*typeFacts `json:"schemas"`
			} `json:"components"`
		}
		readJSON(path, &document)
		for name, facts := range document.Components.Schemas {
			all[name] = facts
		}
	}
	for function, properties := range readEnumerations(source) {
		for name, facts := range all {
			if functionOf(name) != function {
				continue
			}
			for property, values := range properties {
				known := facts.Properties[property]
				known.Enum = values
				facts.Properties[property] = known
			}
		}
	}
	return all
}

// io.k8s.api.apps.v1.Deployment is described by a function whose name ends in api_apps_v1_Deployment.
func functionOf(name string) string {
	name = strings.TrimPrefix(name, "io.k8s.")
	name = strings.ReplaceAll(name, "apiextensions-apiserver", "apiextensions_apiserver")
	name = strings.ReplaceAll(name, "kube-aggregator", "kube_aggregator")
	parts := strings.Split(strings.ReplaceAll(name, ".", "_"), "_")
	if parts[0] == "api" {
		parts = parts[1:]
	}
	return "schema_" + strings.Join(parts[max(0, len(parts)-3):], "_")
}

// The kinds whose deletion answers with the object that was deleted, as group/version Kind.
func readDeletions(documents string) map[string]bool {
	found := map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(documents, "*.json"))
	check(err)
	for _, path := range paths {
		var document struct {
			Paths map[string]struct {
				Delete deletion `json:"delete"`
			} `json:"paths"`
		}
		readJSON(path, &document)
		for _, item := range document.Paths {
			kind := item.Delete.Kind
			for _, media := range item.Delete.Responses["200"].Content {
				if item.Delete.Action == "delete" && !strings.HasSuffix(media.Schema.Ref, ".Status") {
					found[groupVersion(kind.Group, kind.Version)+" "+kind.Kind] = true
				}
			}
		}
	}
	return found
}

type deletion struct {
	Action    string                  `json:"x-kubernetes-action"`
	Kind      metav1.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	Responses map[string]struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			} `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

// function → property → values.
func readEnumerations(path string) map[string]map[string][]string {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	check(err)
	found := map[string]map[string][]string{}
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(function.Name.Name, "schema_") {
			continue
		}
		parts := strings.Split(function.Name.Name, "_")
		name := "schema_" + strings.Join(parts[max(0, len(parts)-3):], "_")
		property := ""
		ast.Inspect(function, func(node ast.Node) bool {
			pair, ok := node.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			if key, ok := pair.Key.(*ast.BasicLit); ok && key.Kind == token.STRING {
				// The names of extensions stand between a property and the enumeration of its elements.
				if name := unquote(key); !strings.HasPrefix(name, "x-kubernetes-") {
					property = name
				}
			}
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Enum" {
				if found[name] == nil {
					found[name] = map[string][]string{}
				}
				found[name][property] = literals(pair.Value)
			}
			return true
		})
	}
	return found
}

func literals(list ast.Expr) []string {
	var values []string
	for _, element := range list.(*ast.CompositeLit).Elts {
		values = append(values, unquote(element.(*ast.BasicLit)))
	}
	sort.Strings(values)
	return slices.Compact(values)
}

func unquote(literal *ast.BasicLit) string {
	text, err := strconv.Unquote(literal.Value)
	check(err)
	return text
}
