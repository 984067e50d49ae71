// SPDX-License-Identifier: Apache-2.0
#include "sandbox/cdi/cdi.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"

namespace cbuild::sandbox::cdi {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kGpus = R"(
cdiVersion: "0.6.0"
kind: vendor.com/gpu
annotations:
  org.mobyproject.buildkit.device.class: fast
containerEdits:
  env: [GPUS=yes]
devices:
- name: "1"
  containerEdits:
    deviceNodes:
    - {path: /dev/gpu1, hostPath: /dev/null, type: c, major: 1, minor: 3, fileMode: 0640, permissions: r, gid: 44}
    mounts:
    - {hostPath: /usr/share/x/, containerPath: /opt/x, options: [ro, nosuid, rbind]}
    hooks:
    - {hookName: createContainer, path: /usr/bin/hook}
- name: "0"
  annotations: {org.mobyproject.buildkit.device.autoallow: true, org.mobyproject.buildkit.device.class: slow}
  containerEdits:
    env: [GPU=0]
    additionalGids: [7]
)";

struct Directories {
  TempDir top = TempDir::in_tmp("cdi-test-");
  std::string low = std::filesystem::path(top.path()) / "low", high = std::filesystem::path(top.path()) / "high";

  Directories() {
    std::filesystem::create_directory(low);
    std::filesystem::create_directory(high);
  }
  void write(const std::string& directory, const std::string& name, const std::string& text) const {
    std::ofstream(directory + "/" + name) << text;
  }
  Registry load() const { return Registry::load({low, high, "/nonexistent/cdi"}); }
};

std::string simple(const std::string& device, const std::string& value) {
  return R"({"cdiVersion": "1.0.0", "kind": "vendor.com/tpu", "devices": [{"name": ")" + device +
         R"(", "containerEdits": {"env": ["V=)" + value + "\"]}}]}";
}

}  // namespace

TEST_CASE("a file describes a device") {
  const SpecFile file = parse_spec(kGpus);
  CHECK(file.kind == "vendor.com/gpu");
  REQUIRE(file.devices.size() == 2);
  const Device& one = file.devices[0];
  CHECK(one.name == "vendor.com/gpu=1");
  REQUIRE(one.edits.nodes.size() == 1);
  CHECK(one.edits.nodes[0] == DeviceNode{.path = "/dev/gpu1",
                                         .type = 'c',
                                         .major = 1,
                                         .minor = 3,
                                         .mode = 0640,
                                         .gid = 44,
                                         .host_path = "/dev/null",
                                         .may_write = false});
  CHECK(one.edits.mounts == std::vector<HostMount>{{"/usr/share/x", "/opt/x", true, true, false, false}});
  CHECK(one.edits.hooks == Names{"/usr/bin/hook"});
  CHECK(file.devices[1].annotations.at("org.mobyproject.buildkit.device.class") == "slow");
  CHECK(file.devices[1].edits.additional_gids == std::vector<gid_t>{7});
}

TEST_CASE("files that make no sense are refused with the reason") {
  struct Row {
    const char* text;
    const char* message;
  };
  const Row rows[] = {
      {"[]", "the file is not an object"},
      {"kind: a/b", "cdiVersion is missing"},
      {"{cdiVersion: 1.0.0, kind: gpu}", "kind \"gpu\" is not VENDOR/CLASS"},
      {"{cdiVersion: 1.0.0, kind: a/b, devices: {}}", "devices is not a list"},
      {"{cdiVersion: 1.0.0, kind: a/b, devices: [{name: ../x}]}", "device name \"../x\" is not allowed"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {env: [X]}}", "an env entry is not NAME=VALUE"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {env: [=X]}}", "an env entry is not NAME=VALUE"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {deviceNodes: [{path: dev/x}]}}",
       "path \"dev/x\" is not an absolute path"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {deviceNodes: [{path: /dev/x, major: -1}]}}",
       "major is not a number from 0 to 4294967295"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {deviceNodes: [{path: /dev/x, type: x}]}}",
       "device type \"x\" is unknown"},
      {"{cdiVersion: 1.0.0, kind: a/b, containerEdits: {mounts: [{hostPath: /x, containerPath: /}]}}",
       "containerPath \"/\" would hide the whole root"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK_THROWS_WITH_AS(parse_spec(row.text), row.message, Error);
  }
}

TEST_CASE("requests by name, wildcard, kind and class") {
  const Directories dirs;
  dirs.write(dirs.low, "gpus.yaml", kGpus);
  const Registry registry = dirs.load();
  CHECK(registry.problems().empty());
  CHECK(registry.find("vendor.com/gpu=1") == Names{"vendor.com/gpu=1"});
  CHECK(registry.find("vendor.com/gpu=*") == Names{"vendor.com/gpu=0", "vendor.com/gpu=1"});
  CHECK(registry.find("vendor.com/gpu") == Names{"vendor.com/gpu=0"});
  CHECK(registry.find("fast") == Names{"vendor.com/gpu=1"});
  CHECK(registry.find("slow") == Names{"vendor.com/gpu=0"});
  for (const char* none : {"vendor.com/gpu=2", "vendor.com/gp", "vendor.com/gp=*", "none", ""})
    CHECK(registry.find(none).empty());
  CHECK(registry.is_auto_allowed("vendor.com/gpu=0"));
  CHECK_FALSE(registry.is_auto_allowed("vendor.com/gpu=1"));
  const Edits both = registry.edits({"vendor.com/gpu=0", "vendor.com/gpu=1", "vendor.com/gpu=0"});
  CHECK(both.environment == Names{"GPUS=yes", "GPU=0"});
  CHECK(both.nodes.size() == 1);
}

TEST_CASE("later directories win, twins of one directory cancel each other, other files are left alone") {
  const Directories dirs;
  dirs.write(dirs.low, "a.json", simple("x", "low"));
  dirs.write(dirs.high, "a.json", simple("x", "high"));
  dirs.write(dirs.low, "b.json", simple("twin", "1"));
  dirs.write(dirs.low, "c.json", simple("twin", "2"));
  dirs.write(dirs.low, "broken.yaml", "cdiVersion: [");
  dirs.write(dirs.low, "notes.txt", "no spec");
  const Registry registry = dirs.load();
  CHECK(registry.edits(registry.find("vendor.com/tpu=x")).environment == Names{"V=high"});
  CHECK(registry.find("vendor.com/tpu=twin").empty());
  REQUIRE(registry.problems().size() == 2);
  CHECK(registry.problems()[0].find("broken.yaml: line ") != std::string::npos);
  CHECK(registry.problems()[1].find("c.json: device vendor.com/tpu=twin is also in another file") != std::string::npos);
}

}  // namespace cbuild::sandbox::cdi
