// SPDX-License-Identifier: Apache-2.0
#include "engine/foreign_steps.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "oci/platform.h"

namespace cbuild::engine {
namespace {

/// A directory like that of binfmt_misc, with nothing registered.
struct NoInterpreters {
  TempDir binfmt = TempDir::in_tmp("foreign-steps-test-");
  solver::Graph graph;

  NoInterpreters() { sys::write_file_at(AT_FDCWD, cat(binfmt.path(), "/status"), "enabled\n"); }

  solver::VertexId base(const std::string& architecture) {
    solver::Vertex vertex;
    vertex.op = solver::ImageSource{sha256(architecture), "linux/" + architecture, sha256("layers"), ""};
    return graph.add(vertex);
  }
  solver::VertexId command(const std::string& platform, const std::string& text,
                           solver::VertexId root = solver::kNoInput) {
    solver::ExecOp exec;
    exec.argv = {text};
    exec.platform = platform;
    solver::Vertex vertex;
    vertex.op = exec;
    vertex.inputs = {root};
    return graph.add(vertex);
  }
  ForeignSteps look(const std::vector<solver::VertexId>& targets) {
    ForeignSettings settings;
    settings.binfmt_directory = binfmt.path();
    settings.architecture_of = [](const Digest& manifest) {
      for (const char* known : {"s390x", "riscv64"})
        if (sha256(known) == manifest) return std::string(known);
      return manifest == sha256("lies") ? oci::host_platform().architecture : std::string();
    };
    return ForeignSteps(graph, targets, settings);
  }
};

TEST_CASE_FIXTURE(NoInterpreters,
                  "steps that cannot run here are named once for each platform, if a target reaches one") {
  const std::string own = oci::host_platform().str();
  const std::vector<solver::VertexId> targets = {command(own, "a"), command("linux/s390x", "a"),
                                                 command("linux/s390x", "b"), command("linux/mips64le", "a")};
  command("linux/riscv64", "not reached");
  const std::vector<std::string> lines = look(targets).warnings(false);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].starts_with("RUN for linux/s390x: no interpreter"));
  CHECK(lines[0].find("install qemu-user-static") != std::string::npos);
  CHECK(lines[1].ends_with("--install mips64le"));
  CHECK(look({targets[0]}).warnings(true).empty());
  CHECK(look(targets).notes().empty());
}

TEST_CASE_FIXTURE(NoInterpreters,
                  "a command on a base of a foreign architecture is refused, and not warned of as well") {
  const solver::VertexId first = command("linux/s390x", "a", base("s390x"));
  const solver::VertexId second = command("linux/s390x", "b", first);
  const ForeignSteps steps = look({second});
  for (const solver::VertexId id : {first, second}) {
    const std::optional<Error> refusal = steps.refusal(id);
    REQUIRE(refusal);
    CHECK(std::string(refusal->what()) ==
          "RUN for linux/s390x: no interpreter for its programs is registered on this machine");
    CHECK(refusal->hint().ends_with("--install s390x"));
  }
  CHECK(steps.warnings(false).empty());
  CHECK(steps.warnings(true).size() == 1);
}

TEST_CASE_FIXTURE(NoInterpreters, "a root that may hold programs of this machine is not refused") {
  const solver::VertexId copied = command("linux/s390x", "a"), lying = command("linux/s390x", "b", base("lies")),
                         unknown = command("linux/s390x", "c", base("other")),
                         native = command(oci::host_platform().str(), "d", base("s390x"));
  const ForeignSteps steps = look({copied, lying, unknown, native});
  for (const solver::VertexId id : {copied, lying, unknown, native}) CHECK_FALSE(steps.refusal(id));
  CHECK(steps.warnings(false).size() == 1);
}

TEST_CASE_FIXTURE(NoInterpreters, "nothing is said where it cannot be seen") {
  const solver::VertexId target = command("linux/s390x", "a", base("s390x"));
  sys::remove_all_at(AT_FDCWD, cat(binfmt.path(), "/status"));
  CHECK(look({target}).warnings(true).empty());
  CHECK_FALSE(look({target}).refusal(target));
}

}  // namespace
}  // namespace cbuild::engine
