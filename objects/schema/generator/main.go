// Reads what is known of Kubernetes' types out of the modules that its project publishes, and writes it as the
// fact file of the schema room (its format stands at the head of facts.rs there):
//
//	go run . > ../facts/kubernetes-1.37
//
// Facts only: names, types, tags, enumerations. No description is carried over.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const release = "1.37.0"

func main() {
	out := bufio.NewWriter(os.Stdout)
	root := moduleDir("k8s.io/kubernetes@v" + release)
	documents := filepath.Join(root, "api/openapi-spec/v3")
	facts := readOpenAPI(
		documents,
		filepath.Join(root, "pkg/generated/openapi/zz_generated.openapi.go"),
	)
	fmt.Fprintf(out, "# Facts of Kubernetes %s, generated; the format stands in src/facts.rs.\n", release)
	fmt.Fprintf(out, "release %s\n", release)
	writeTypes(out, facts)
	writeResources(out, filepath.Join(root, "api/discovery"), readDeletions(documents))
	check(out.Flush())
}

// The folder of a module that is only read, not compiled; `go` fetches it when it is not there.
func moduleDir(module string) string {
	command := exec.Command("go", "mod", "download", "-json", module)
	command.Stderr = os.Stderr
	text, err := command.Output()
	check(err)
	var answer struct{ Dir string }
	check(json.Unmarshal(text, &answer))
	return answer.Dir
}

func readJSON(path string, into any) {
	text, err := os.ReadFile(path)
	check(err)
	check(json.Unmarshal(text, into))
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "generator: "+format+"\n", arguments...)
	os.Exit(1)
}

// A word of the fact file: it must not be told apart by what stands in it.
func word(text string) string {
	if text == "" || strings.ContainsAny(text, " \n\t,|=") {
		fail("%q cannot stand in the fact file", text)
	}
	return text
}
