// SPDX-License-Identifier: Apache-2.0
#include "cli/report/go_template.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

using namespace cbuild;
using namespace cbuild::cli;

namespace {

const nlohmann::ordered_json kImage = nlohmann::ordered_json::parse(R"({
  "name": "docker.io/library/app:1",
  "manifest": {"mediaType": "index", "size": 855, "manifests": [
    {"digest": "sha256:a", "platform": {"os": "linux", "architecture": "amd64"}},
    {"digest": "sha256:b", "platform": {"os": "linux", "architecture": "arm64"}}]},
  "image": {"linux/amd64": {"config": {"Env": ["A=1", "B=2"], "Labels": {"k": "v"}}, "rootfs": {"diff_ids": ["sha256:d"]}}},
  "sbom": null
})");

std::string fill(std::string_view text) { return fill_template(text, kImage); }

std::string failure(std::string_view text) {
  try {
    return "no failure: " + fill(text);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
    return error.what();
  }
}

}  // namespace

TEST_CASE("fields are found as Go's structs name them") {
  CHECK(fill("{{.Name}}") == "docker.io/library/app:1");
  CHECK(fill("a {{ .Manifest.MediaType }} {{.Manifest.Size}} b") == "a index 855 b");
  CHECK(fill(R"({{(index .Image "linux/amd64").RootFS.DiffIDs}})") == "[sha256:d]");
  CHECK(fill(R"({{(index .Image "linux/amd64").Config.Env}})") == "[A=1 B=2]");
  CHECK(fill(R"({{(index .Image "linux/amd64").Config.Labels}})") == "map[k:v]");
  CHECK(fill(R"({{index .Image "linux/s390x"}}|{{.SBOM}}|{{.Manifest.Annotations}})") == "||");
  CHECK(fill("no action") == "no action");
}

TEST_CASE("range, if, with and variables") {
  CHECK(fill("{{range .Manifest.Manifests}}{{.Platform.Architecture}} {{end}}") == "amd64 arm64 ");
  CHECK(fill("{{range $i, $m := .Manifest.Manifests}}{{$i}}={{$m.Digest}} {{end}}") == "0=sha256:a 1=sha256:b ");
  CHECK(fill("{{range $p, $c := .Image}}{{$p}}{{end}}") == "linux/amd64");
  CHECK(fill("{{range .SBOM}}x{{else}}none{{end}}") == "none");
  CHECK(fill(R"({{range .Manifest.Manifests}}{{if eq .Platform.Architecture "arm64"}}{{.Digest}}{{end}}{{end}})") ==
        "sha256:b");
  CHECK(fill("{{if .SBOM}}1{{else if .Name}}2{{else}}3{{end}}{{if not .SBOM}}4{{end}}") == "24");
  CHECK(fill("{{with .Manifest}}{{.Size}} {{$.Name}}{{end}}{{with .SBOM}}x{{else}}y{{end}}") ==
        "855 docker.io/library/app:1y");
  CHECK(fill("{{$x := .Manifest.Size}}{{$x}}") == "855");
  CHECK(fill("a \n {{- /* nothing */ -}} \n b {{- \"c\" -}} d") == "abcd");
}

TEST_CASE("functions and pipes") {
  CHECK(fill("{{json .SBOM}}{{ .Manifest.Size | json }}") == "null855");
  CHECK(fill(R"({{json (index .Image "linux/amd64").Config.Labels}})") == "{\n  \"k\": \"v\"\n}");
  CHECK(fill(R"({{join (index .Image "linux/amd64").Config.Env ","}} {{len .Manifest.Manifests}})") == "A=1,B=2 2");
  CHECK(fill(R"({{.Manifest.MediaType | upper | printf "%s-%q" "x"}})") == R"(x-"INDEX")");
  CHECK(fill(R"({{printf "%d%%" 7}}{{println "a" 1}}{{print "b" "c"}})") == "7%a 1\nbc");
  CHECK(fill(R"({{index (split "a/b" "/") 1}} {{lower "AB"}} {{eq 1 2 1}} {{ne 1 1}})") == "b ab true false");
  CHECK(fill(R"({{and .Name .SBOM}}|{{or .SBOM "x"}}|{{gt .Manifest.Size 854}}|{{`raw"`}})") == "|x|true|raw\"");
}

TEST_CASE("mistakes name the action") {
  CHECK(failure("{{.Naem}}").find("{{.Naem}}: there is no field .Naem; there are .name") != std::string::npos);
  for (const char* wrong : {"{{",
                            "{{.Name",
                            "{{if .Name}}x",
                            "{{end}}",
                            "{{else}}",
                            "{{frob .Name}}",
                            "{{.Name .Name}}",
                            "{{(.Name}}",
                            "{{\"x}}",
                            "{{$y}}",
                            "{{.Name | .Name}}",
                            "{{index .Manifest.Manifests 9}}",
                            "{{index .Name 1}}",
                            "{{range .Name}}{{end}}",
                            "{{len}}",
                            "{{upper 1}}",
                            "{{}}",
                            "{{printf \"%z\" 1}}",
                            "{{$a, $b, $c := .Image}}",
                            "{{split \"a\" \"\"}}",
                            "{{-5x}}"})
    CHECK(failure(wrong).starts_with("template: {{"));
  CHECK(failure("{{jsn .Name}}").find("did you mean json?") != std::string::npos);
  CHECK(failure("{{" + std::string(300, '(') + "}}").find("nested too deeply") != std::string::npos);
}
