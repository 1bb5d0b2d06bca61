package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

//go:embed served.txt
var served string

const servedResources = 72

// The rows of what is served by default, in the order of served.txt. The published documents hold what can be
// switched on too, so served.txt decides what goes in, and everything it names must stand in them.
func writeResources(out *bufio.Writer, folder string, deletions map[string]bool) {
	written := 0
	for line := range strings.Lines(served) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		list := discovery(folder, words[0])
		row := find(list, words[1])
		writeResource(out, words[0], row, deletions[words[0]+" "+row.Kind])
		for _, subresource := range words[2:] {
			writeSubresource(out, words[0], find(list, words[1]+"/"+subresource), subresource)
		}
		written++
	}
	if written != servedResources {
		fail("served.txt names %d resources, not %d", written, servedResources)
	}
}

func discovery(folder, groupVersion string) []metav1.APIResource {
	name := "apis__" + strings.Replace(groupVersion, "/", "__", 1)
	if !strings.Contains(groupVersion, "/") {
		name = "api__" + groupVersion
	}
	var list metav1.APIResourceList
	readJSON(filepath.Join(folder, name+".json"), &list)
	return list.APIResources
}

func find(list []metav1.APIResource, name string) metav1.APIResource {
	at := slices.IndexFunc(list, func(row metav1.APIResource) bool { return row.Name == name })
	if at < 0 {
		fail("the published discovery does not know %s", name)
	}
	return list[at]
}

func writeResource(out *bufio.Writer, groupVersion string, row metav1.APIResource, answersDeleted bool) {
	scope := "cluster"
	if row.Namespaced {
		scope = "namespaced"
	}
	fmt.Fprintf(out, "resource %s %s %s %s %s verbs=%s",
		groupVersion, row.Name, row.SingularName, row.Kind, scope, strings.Join(row.Verbs, ","))
	if len(row.ShortNames) > 0 {
		fmt.Fprintf(out, " short=%s", strings.Join(row.ShortNames, ","))
	}
	if len(row.Categories) > 0 {
		fmt.Fprintf(out, " categories=%s", strings.Join(row.Categories, ","))
	}
	if row.StorageVersionHash != "" {
		fmt.Fprintf(out, " hash=%s", row.StorageVersionHash)
	}
	if answersDeleted {
		fmt.Fprint(out, " deletion=object")
	}
	fmt.Fprintln(out)
}

func writeSubresource(out *bufio.Writer, groupVersionOfParent string, row metav1.APIResource, name string) {
	own := groupVersionOfParent
	if row.Version != "" {
		own = groupVersion(row.Group, row.Version)
	}
	fmt.Fprintf(out, "sub %s %s %s verbs=%s\n", name, own, row.Kind, strings.Join(row.Verbs, ","))
}
