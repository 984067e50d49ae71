// SPDX-License-Identifier: Apache-2.0
// Whole builds through the library alone, without a command line, a terminal or a sandbox.
#include "engine/builder.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/database/database.h"
#include "cache/store.h"
#include "oci/layout.h"

namespace cbuild::engine {
namespace {

/// A context, a store and a place for the result. Nothing of it needs a sandbox, so the session has no processes.
struct Workplace {
  TempDir temp = TempDir::in_tmp("builder-test-");
  Session session;
  BuildRequest request;
  NullProgress silent;
  CancelSource cancel;

  Workplace() {
    session.root = temp.path() + "/store";
    session.user_xattr = true;
    sys::mkdir_all(temp.fd(), "context", 0700);
    request.inputs.context = DirectoryContext{temp.path() + "/context"};
    request.inputs.build_args["SOURCE_DATE_EPOCH"] = "1000";
    exporter::Output& output = request.outputs.list.emplace_back();
    output.type = exporter::OutputType::oci;
    output.dest = layout();
    output.as_tar = false;
  }
  std::string layout() const { return temp.path() + "/layout"; }
  void write(const std::string& name, const std::string& text) {
    sys::write_file_at(temp.fd(), cat("context/", name), text);
  }
  BuildResult build() { return Builder(session).build(request, silent, cancel); }
};

/// Cancels when the first event of a kind comes.
template <typename Event>
class CancelAt final : public ProgressSink {
 public:
  explicit CancelAt(CancelSource& cancel) : cancel_(cancel) {}
  void on_event(const ProgressEvent& event) override {
    if (std::holds_alternative<Event>(event)) cancel_.cancel();
  }

 private:
  CancelSource& cancel_;
};

}  // namespace

TEST_CASE_FIXTURE(Workplace, "an image is built and found again") {
  write("file", "hello");
  write("Dockerfile", "FROM scratch\nCOPY file /file\nENV A=b\n");
  std::vector<std::string> told;
  request.outputs.on_written = [&](const BuildResult& so_far) {
    for (const TargetImage& image : so_far.images) told.push_back(image.manifest.digest.str());
  };
  const BuildResult first = build();
  REQUIRE_FALSE(first.failure);
  REQUIRE(first.images.size() == 1);
  const TargetImage& image = first.images[0];
  CHECK(image.target.empty());
  CHECK(image.id == image.config.digest);
  CHECK(told == std::vector<std::string>{image.manifest.digest.str()});
  CHECK(first.id.size() == 12);
  CHECK(first.steps_total == 1);
  CHECK(first.steps_cached == 0);
  oci::ImageLayout made = oci::ImageLayout::open(layout());
  CHECK(made.find("").digest == image.manifest.digest);
  CHECK(oci::read_blob(made.blobs(), image.config.digest).find("\"A=b\"") != std::string::npos);

  request.in_history = false;
  const BuildResult second = build();
  REQUIRE_FALSE(second.failure);
  CHECK(second.images[0].manifest.digest == image.manifest.digest);
  CHECK(second.steps_cached == 1);
  CHECK(second.id.empty());
}

TEST_CASE_FIXTURE(Workplace,
                  "the store is synced when the request says so, and what was not is forgotten with the boot") {
  write("file", "hello");
  write("Dockerfile", "FROM scratch\nCOPY file /file\n");
  bool survives = false, later = false;
  SUBCASE("end") { survives = true; }
  SUBCASE("later") {
    request.sync = Sync::later;
    later = true;
  }
  SUBCASE("later, by the front door") {
    request.sync = Sync::later;
    later = survives = true;
  }
  SUBCASE("none") { request.sync = Sync::none; }
  const BuildResult first = build();
  REQUIRE_FALSE(first.failure);
  CHECK(first.sync_later == later);
  CHECK(build().steps_cached == 1);
  CHECK_FALSE(build().sync_later);  // nothing was made
  if (later && survives) cache::Store({.root = session.root, .user_xattr = true}).make_durable();
  cache::Database(session.root + "/index.db", false).run("UPDATE meta SET boot = ?", std::string_view("another boot"));
  CHECK(build().steps_cached == (survives ? 1 : 0));
}

TEST_CASE_FIXTURE(Workplace, "a directory may be filled when it is known what is read of it") {
  const std::string text = "FROM scratch AS unused\nCOPY other /\nFROM scratch\nCOPY a/b /b\nCOPY c* /c/\n";
  request.inputs.dockerfile = GivenDockerfile{"sent.Dockerfile", text, "c1\n"};
  std::vector<std::string> read;
  request.inputs.fill_directory = [&](const DirectoryRead& wanted) {
    CHECK(wanted.directory.name == "context");
    CHECK(wanted.directory.ignore == std::vector<std::string>{"c1"});
    for (const solver::Selector& part : wanted.parts) read.insert(read.end(), part.paths.begin(), part.paths.end());
    sys::mkdir_all(temp.fd(), "context/a", 0700);
    for (const char* file : {"a/b", "c1", "c2"}) write(file, "content");
  };
  REQUIRE_FALSE(build().failure);
  CHECK(read == std::vector<std::string>{"a/b", "c*"});
  CHECK(oci::read_blob(oci::ImageLayout::open(layout()).blobs(), oci::ImageLayout::open(layout()).find("").digest)
            .find("layers") != std::string::npos);

  request.inputs.dockerfile = GivenDockerfile{"sent.Dockerfile", "FROM scratch\nCOPY c1 /\n", "c1\n"};
  const BuildResult refused = build();
  REQUIRE(refused.failure);
}

TEST_CASE_FIXTURE(Workplace, "a graph may take the place of a Dockerfile") {
  request.inputs.graph = [](const GraphSources&) {
    frontend::LoweredTargets out;
    solver::Vertex vertex;
    vertex.op = solver::FileOp{{solver::MakeFileAction{.path = "/made", .content = "text"}}};
    vertex.inputs = {solver::kNoInput};
    vertex.name = "mkfile /made";
    frontend::LoweredTarget& target = out.targets.emplace_back();
    target.platform = oci::host_platform();
    target.config.platform = target.platform;
    target.result = out.graph.add(std::move(vertex));
    target.config.history.emplace_back().created_by = "mkfile";
    target.layer_vertices = {target.result};
    return out;
  };
  const BuildResult result = build();
  REQUIRE_FALSE(result.failure);
  CHECK(result.steps_total == 1);
  CHECK(result.images.size() == 1);
}

TEST_CASE_FIXTURE(Workplace, "the Dockerfile may come from a descriptor, with no context at all") {
  sys::write_file_at(temp.fd(), "piped", "FROM scratch\nLABEL a=b\n");
  const UniqueFd file = sys::open_at(temp.fd(), "piped", O_RDONLY);
  request.inputs.context = StreamContext{file.get()};
  const BuildResult result = build();
  REQUIRE_FALSE(result.failure);
  CHECK(result.images.size() == 1);
  CHECK(result.steps_total == 0);
}

TEST_CASE_FIXTURE(Workplace, "mistakes in the Dockerfile come back as diagnostics, with their places") {
  write("Dockerfile", "FROM scratch\nCOPPY a b\n");
  const BuildResult result = build();
  REQUIRE(result.failure);
  const auto* wrong = std::get_if<Diagnosed>(&*result.failure);
  REQUIRE(wrong != nullptr);
  REQUIRE(wrong->diagnostics.size() == 1);
  const Diagnostic& diagnostic = wrong->diagnostics[0];
  CHECK(diagnostic.message.find("COPPY") != std::string::npos);
  CHECK(diagnostic.span.source->position(diagnostic.span.begin).line == 2);
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, layout()));
}

TEST_CASE_FIXTURE(Workplace, "a step that fails is told with its name and its lines") {
  write("Dockerfile", "FROM scratch\nRUN true\n");
  const BuildResult result = build();
  REQUIRE(result.failure);
  const auto* failed = std::get_if<StepFailed>(&*result.failure);
  REQUIRE(failed != nullptr);
  CHECK(failed->step.find("RUN true") != std::string::npos);
  REQUIRE(failed->spans.size() == 1);
  CHECK(failed->spans[0].source->position(failed->spans[0].begin).line == 2);
  CHECK(failed->failure.error.code() == ErrorCode::unsupported);
  CHECK(result.images.empty());
}

TEST_CASE_FIXTURE(Workplace, "a missing context and an output that fails are told apart") {
  request.inputs.context = DirectoryContext{temp.path() + "/nowhere"};
  const auto part = [this] {
    const BuildResult result = build();
    REQUIRE(result.failure);
    const auto* failed = std::get_if<Failed>(&*result.failure);
    REQUIRE(failed != nullptr);
    return failed->part;
  };
  CHECK(part() == Failed::Part::build);
  write("Dockerfile", "FROM scratch\nLABEL a=b\n");
  request.inputs.context = DirectoryContext{temp.path() + "/context"};
  request.outputs.on_written = [](const BuildResult&) { throw Error(ErrorCode::io, "no room"); };
  CHECK(part() == Failed::Part::output);
}

TEST_CASE_FIXTURE(Workplace, "a build that is cancelled ends as that") {
  write("file", "hello");
  write("Dockerfile", "FROM scratch\nCOPY file /file\n");
  CancelAt<TaskStarted> progress(cancel);
  const BuildResult result = Builder(session).build(request, progress, cancel);
  REQUIRE(result.failure);
  CHECK(std::holds_alternative<Cancelled>(*result.failure));
  CHECK_FALSE(sys::try_stat_at(AT_FDCWD, layout()));
}

}  // namespace cbuild::engine
