// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/llb/definition_graph.h"
#include "api/proto/llb.pb.h"
#include "base/digest.h"
#include "base/error.h"

/// Definitions for tests, and answers of an engine.
namespace cbuild::api {

struct TestDefinition {
  pb::Definition pb;

  /// Each input is a digest, of its output 0, or "DIGEST#OUTPUT". Returns the digest of the operation.
  std::string add(pb::Op op, const std::vector<std::string>& inputs = {}) {
    for (const std::string& input : inputs) {
      const std::size_t hash = input.find('#');
      op.add_inputs()->set_digest(input.substr(0, hash));
      if (hash != std::string::npos) op.mutable_inputs()->rbegin()->set_index(std::stoll(input.substr(hash + 1)));
    }
    pb.add_def(op.SerializeAsString());
    return sha256(*pb.def().rbegin()).str();
  }
  void finish(const std::string& result, std::int64_t output = 0) {
    pb::Op last;
    last.add_inputs()->set_digest(result);
    last.mutable_inputs(0)->set_index(output);
    pb.add_def(last.SerializeAsString());
  }
  void place(const std::string& digest, const std::string& file, const std::string& text, int first, int last) {
    pb::SourceInfo& info = *pb.mutable_source()->add_infos();
    info.set_filename(file);
    info.set_data(text);
    pb::Location& location = *(*pb.mutable_source()->mutable_locations())[digest].add_locations();
    location.set_source_index(pb.source().infos_size() - 1);
    pb::Range& range = *location.add_ranges();
    range.mutable_start()->set_line(first);
    range.mutable_end()->set_line(last);
  }
};

inline pb::Op source_message(const std::string& identifier, const std::map<std::string, std::string>& attributes = {}) {
  pb::Op op;
  op.mutable_source()->set_identifier(identifier);
  for (const auto& [name, value] : attributes) (*op.mutable_source()->mutable_attrs())[name] = value;
  return op;
}

/// With input 0 as its root.
inline pb::Op exec_message(const std::vector<std::string>& argv) {
  pb::Op op;
  pb::ExecOp& exec = *op.mutable_exec();
  for (const std::string& word : argv) exec.mutable_meta()->add_args(word);
  exec.mutable_meta()->set_cwd("/");
  exec.add_mounts()->set_dest("/");
  return op;
}

inline pb::Mount& add_mount(pb::Op& op, const std::string& target, std::int64_t input, std::int64_t output) {
  pb::Mount& mount = *op.mutable_exec()->add_mounts();
  mount.set_dest(target);
  mount.set_input(input);
  mount.set_output(output);
  return mount;
}

/// One more action of a file operation, which works on `input` and looks at `secondary`.
inline pb::FileAction& add_action(pb::Op& op, std::int64_t input, std::int64_t secondary, std::int64_t output) {
  pb::FileAction& action = *op.mutable_file()->add_actions();
  action.set_input(input);
  action.set_secondary_input(secondary);
  action.set_output(output);
  return action;
}

/// On scratch.
inline pb::Op mkfile_message(const std::string& path, const std::string& content) {
  pb::Op op;
  pb::FileActionMkFile& file = *add_action(op, -1, -1, 0).mutable_mkfile();
  file.set_path(path);
  file.set_data(content);
  file.set_mode(0644);
  file.set_timestamp(-1);
  return op;
}

inline pb::FileActionCopy& set_copy(pb::FileAction& action, const std::string& from, const std::string& to) {
  pb::FileActionCopy& copy = *action.mutable_copy();
  copy.set_src(from);
  copy.set_dest(to);
  copy.set_mode(-1);
  copy.set_timestamp(-1);
  return copy;
}

inline pb::Op merge_message(int inputs) {
  pb::Op op;
  op.mutable_merge();
  for (int i = 0; i < inputs; ++i) op.mutable_merge()->add_inputs()->set_input(i);
  return op;
}

inline pb::Op diff_message(std::int64_t lower, std::int64_t upper) {
  pb::Op op;
  op.mutable_diff()->mutable_lower()->set_input(lower);
  op.mutable_diff()->mutable_upper()->set_input(upper);
  return op;
}

/// Has every image, with one layer, and every URL and repository.
struct FakeSources final : frontend::ImageResolver, frontend::SourcePinner {
  std::vector<std::string> asked;

  frontend::ResolvedImage resolve(const std::string& name, const Digest& locked,
                                  const oci::Platform& platform) override {
    asked.push_back(name + (locked.empty() ? "" : " " + locked.str()));
    frontend::ResolvedImage image;
    image.manifest = sha256(name);
    image.config.platform = platform;
    image.config.diff_ids = {sha256("layer 1"), sha256("layer 2")};
    image.config.history = {{.created = "2020-01-01T00:00:00Z", .created_by = "base", .author = {}, .comment = {}},
                            {.created = "2020-01-01T00:00:00Z", .created_by = "base", .author = {}, .comment = {}}};
    image.locator = "docker-image://" + name;
    return image;
  }
  frontend::ResolvedImage resolve_present(const std::string& name, const Digest& locked,
                                          const oci::Platform& platform) override {
    asked.push_back("present:");
    return resolve(name, locked, platform);
  }
  frontend::PinnedFile pin_url(const std::string& url, const Digest&) override {
    asked.push_back(url);
    return {sha256(url), 7};
  }
  frontend::PinnedCommit pin_git(const std::string& remote, const std::string& ref) override {
    asked.push_back(remote + "#" + ref);
    return {std::string(40, 'a'), "", "refs/heads/" + ref};
  }
  std::optional<std::int64_t> source_time(const solver::Op&) override { return std::nullopt; }
};

/// Definitions as vertices.
struct Lowered {
  FakeSources sources;
  LlbOptions options;
  std::string config;
  frontend::LoweredTargets targets;

  Lowered() {
    options.platform = {"linux", "amd64", "", "", {}};
    options.callbacks.local = [](const LocalRequest& request) { return "/local/" + request.name; };
  }
  const solver::Vertex& lower(const pb::Definition& definition) {
    targets = lower_definitions({{"", &definition, options.platform, config}}, options, {sources, sources});
    return at(targets.targets.at(0).result);
  }
  const solver::Vertex& at(solver::VertexId id) const {
    if (id == solver::kNoInput) throw Error(ErrorCode::internal, "the result is scratch");
    return targets.graph[id];
  }
  template <typename Op>
  const Op& op(const solver::Vertex& vertex) const {
    return std::get<Op>(vertex.op);
  }
  /// The message of the Error that lowering throws; empty for none.
  std::string refusal(const pb::Definition& definition) {
    try {
      lower(definition);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }
};

}  // namespace cbuild::api
