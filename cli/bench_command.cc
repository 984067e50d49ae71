// SPDX-License-Identifier: Apache-2.0
// Measures a user's own Dockerfile: without the cache, unchanged, and after an edit of one file. The kinds take turns,
// so that other work on the machine slows all of them alike. The edit is real, so everything happens on a copy of the
// context; builds go through the engine without a progress view and stay out of the history.
#include "cli/bench_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/process/interrupts.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/tree.h"
#include "cli/flags/options.h"
#include "cli/report/exit_codes.h"
#include "cli/report/failure_text.h"
#include "engine/builder.h"
#include "engine/inputs.h"
#include "engine/session.h"
#include "solver/ops/tree_copy.h"
#include "solver/ops/write_tree.h"

namespace cbuild::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Sample {
  double total_s = 0;
  engine::BuildResult result;
};
struct Kind {
  std::string name;
  std::vector<Sample> samples;
};

cache::TreeView view_of(const std::string& path) {
  return cache::TreeView::of_directory(sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY).get());
}

void copy_context(const std::string& from, const std::vector<std::string>& ignore, const TempDir& to) {
  const cache::TreeView view = view_of(from);
  const PathPatternList patterns(ignore);
  solver::ops::PlannedTree copy(nullptr);
  solver::ops::CopyRules rules;
  rules.ignore = &patterns;
  solver::ops::TreeCopier(view, copy, std::move(rules)).copy_contents("", "");
  solver::ops::write_tree(copy, to.fd(), nullptr, nullptr);
}

/// The smallest non-empty regular file, as the likeliest source file; the Dockerfile itself is left alone.
void find_smallest(const cache::TreeView& view, const std::string& directory, std::string& best, std::int64_t& size) {
  for (const auto& entry : view.list(directory)) {
    const std::string path = directory.empty() ? entry.name : cat(directory, '/', entry.name);
    if (S_ISDIR(entry.st.st_mode)) {
      find_smallest(view, path, best, size);
    } else if (S_ISREG(entry.st.st_mode) && entry.st.st_size > 0 && !entry.name.starts_with('.') &&
               entry.name.find("ockerfile") == std::string::npos && (best.empty() || entry.st.st_size < size)) {
      best = path;
      size = entry.st.st_size;
    }
  }
}

void edit_file(const std::string& context, const std::string& file, unsigned run) {
  const UniqueFd fd = sys::open_at(AT_FDCWD, cat(context, '/', file), O_WRONLY | O_APPEND);
  sys::write_all(fd.get(), cat("\n# edit ", run, ' ', sys::now_ns(), "\n"));
}

Sample measure(const engine::BuildRequest& request, const engine::Session& session) {
  NullProgress silent;
  CancelSource cancel;
  const Interrupts interrupts(cancel);
  const std::int64_t begin = sys::monotonic_ns();
  Sample sample;
  sample.result = engine::Builder(session).build(request, silent, cancel);
  sample.total_s = static_cast<double>(sys::monotonic_ns() - begin) / 1e9;
  if (sample.result.failure) {
    std::fputs(failure_text(*sample.result.failure, session.root).c_str(), stderr);
    throw Error(ErrorCode::step_failed, "the build failed; nothing to measure");
  }
  return sample;
}

const Sample& median(Kind& kind) {
  std::sort(kind.samples.begin(), kind.samples.end(),
            [](const Sample& a, const Sample& b) { return a.total_s < b.total_s; });
  return kind.samples[kind.samples.size() / 2];
}

void print_table(std::vector<Kind>& kinds, const std::string& edited) {
  std::printf("%-8s %9s %9s %9s %9s %9s %13s\n", "", "median", "min", "lowering", "steps", "export", "steps cached");
  for (Kind& kind : kinds) {
    const Sample& mid = median(kind);
    const engine::BuildResult& o = mid.result;
    std::printf("%-8s %8.3fs %8.3fs %8.3fs %8.3fs %8.3fs %7u of %u\n", kind.name.c_str(), mid.total_s,
                kind.samples.front().total_s, o.lower_s, o.solve_s, o.export_s, o.steps_cached, o.steps_total);
  }
  if (!edited.empty()) std::printf("edited: %s\n", edited.c_str());
}

void print_json(std::vector<Kind>& kinds, const std::string& edited) {
  Json json = Json::object();
  json["edited"] = edited;
  for (Kind& kind : kinds) {
    const Sample& mid = median(kind);
    json[kind.name] = {{"median_s", mid.total_s},          {"min_s", kind.samples.front().total_s},
                       {"lowering_s", mid.result.lower_s}, {"steps_s", mid.result.solve_s},
                       {"export_s", mid.result.export_s},  {"steps", mid.result.steps_total},
                       {"cached", mid.result.steps_cached}};
  }
  std::cout << json.dump(2) << "\n";
}

}  // namespace

int bench_command(Arguments arguments) {
  const auto line = parse_bench_line(std::move(arguments));
  if (!line) return exit_code::kSuccess;
  const auto& [build_line, bench] = *line;
  const engine::Session session = engine::start_session(build_line.root);
  const engine::BuildInputs inputs =
      engine::read_inputs(build_line.request.inputs, build_line.request.sources.policy.get(), {});
  const TempDir copy = TempDir::in_tmp("cbuild-bench-");
  engine::BuildRequest warm = build_line.request;
  warm.in_history = false;
  if (!inputs.context_path.empty()) {
    copy_context(inputs.context_path, inputs.ignore, copy);
    warm.inputs.context = engine::DirectoryContext{copy.path()};
    if (build_line.file.empty())
      warm.inputs.dockerfile = engine::NamedDockerfile{cat(inputs.context_path, '/', inputs.dockerfile->name())};
  }
  std::string edited = bench.edit;
  std::int64_t size = 0;
  if (edited.empty()) find_smallest(view_of(copy.path()), "", edited, size);

  std::vector<Kind> kinds{{"cold", {}}, {"no-op", {}}, {"edit", {}}};
  engine::BuildRequest cold = warm;
  cold.caches.none = true;
  for (unsigned run = 0; run < bench.runs; ++run) {
    kinds[0].samples.push_back(measure(cold, session));
    if (run == 0) measure(warm, session);
    kinds[1].samples.push_back(measure(warm, session));
    if (edited.empty()) continue;
    edit_file(copy.path(), edited, run);
    kinds[2].samples.push_back(measure(warm, session));
  }
  std::erase_if(kinds, [](const Kind& kind) { return kind.samples.empty(); });
  if (bench.json)
    print_json(kinds, edited);
  else
    print_table(kinds, edited);
  return exit_code::kSuccess;
}

}  // namespace cbuild::cli
