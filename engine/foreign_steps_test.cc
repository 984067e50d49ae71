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

solver::Vertex command_on(const std::string& platform, const std::string& command) {
  solver::ExecOp exec;
  exec.argv = {command};
  exec.platform = platform;
  solver::Vertex vertex;
  vertex.op = exec;
  vertex.inputs = {solver::kNoInput};
  return vertex;
}

TEST_CASE("steps that cannot run here are reported before the build, once for each platform, if a target reaches one") {
  const TempDir binfmt = TempDir::in_tmp("foreign-steps-test-");
  sys::write_file_at(AT_FDCWD, cat(binfmt.path(), "/status"), "enabled\n");
  const std::string own = oci::host_platform().str();
  solver::Graph graph;
  const std::vector<solver::VertexId> targets = {
      graph.add(command_on(own, "a")), graph.add(command_on("linux/s390x", "a")),
      graph.add(command_on("linux/s390x", "b")), graph.add(command_on("linux/mips64le", "a"))};
  graph.add(command_on("linux/riscv64", "not reached"));
  const std::vector<std::string> notes = foreign_step_notes(graph, targets, binfmt.path());
  REQUIRE(notes.size() == 2);
  CHECK(notes[0].starts_with("RUN for linux/s390x: no interpreter"));
  CHECK(notes[0].find("install qemu-user-static") != std::string::npos);
  CHECK(notes[1].ends_with("--install mips64le"));
  CHECK(foreign_step_notes(graph, {targets[0]}, binfmt.path()).empty());
}

TEST_CASE("nothing is said where it cannot be seen") {
  const TempDir binfmt = TempDir::in_tmp("foreign-steps-test-");
  solver::Graph graph;
  const solver::VertexId target = graph.add(command_on("linux/s390x", "a"));
  CHECK(foreign_step_notes(graph, {target}, binfmt.path()).empty());
}

}  // namespace
}  // namespace cbuild::engine
