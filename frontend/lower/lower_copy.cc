// SPDX-License-Identifier: Apache-2.0
//
// COPY and ADD become one file op. Sources of different kinds (files of a stage or context, repositories, URLs,
// heredocs) become inputs of it, in the order of the line; neighbours from one input share an action, so that rules
// about several sources see them together. Heredocs exist in a tree of their own first. With --link the op works on
// nothing, and a merge puts its layer on the root: it need not run again when the root changes.
#include <algorithm>

#include "base/pattern/path_pattern.h"
#include "base/text.h"
#include "frontend/lower/check_stage.h"
#include "frontend/lower/lower_chmod.h"
#include "frontend/lower/lower_instructions.h"
#include "frontend/lower/lower_origin.h"
#include "frontend/lower/lower_owner.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/stages/lower_remote.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kPivot = "/./";

/// COPY or ADD after expansion.
struct CopyRequest {
  const CopyInstruction& syntax;
  std::string chown, chmod, checksum;
  std::vector<std::string> sources;
  std::string destination;  ///< as history shows it
};

std::string expand_flag(const StageLowering& stage, const std::optional<Text>& flag) {
  return flag ? stage.expand(*flag) : "";
}

/// A link that also changes modes is not one: BuildKit then copies plainly.
bool makes_link(const CopyRequest& request) { return request.syntax.link && request.chmod.empty(); }

void check_checksum(const StageLowering& stage, const CopyRequest& request) {
  if (request.checksum.empty()) return;
  const Span& span = request.syntax.checksum->span;
  if (!request.syntax.add) reject(span, "checksum can't be specified for COPY");
  if (request.sources.size() != 1) reject(span, "checksum can't be specified for multiple sources");
  const std::string& source = request.sources[0];
  const bool remote = is_http_url(source) || at(stage.span(), [&] { return parse_git_ref(source, false); }).has_value();
  if (!remote) reject(span, "checksum requires HTTP(S) or Git sources");
}

CopyRequest expand_copy(const StageLowering& stage, const CopyInstruction& copy) {
  CopyRequest out{
      copy, expand_flag(stage, copy.chown), expand_flag(stage, copy.chmod), expand_flag(stage, copy.checksum), {}, {}};
  for (const Text& source : copy.sources) out.sources.push_back(stage.expand(source));
  out.destination = stage.expand(copy.destination);
  if (!out.chmod.empty()) at(copy.chmod->span, [&] { check_chmod(out.chmod); });
  check_checksum(stage, out);
  if (makes_link(out) && names_owner(out.chown)) {
    reject(copy.chown->span, "invalid user index: -1",
           "--link copies onto an empty root, which knows no names: give numbers to --chown");
  }
  if (stage.state.root == solver::kNoInput && names_owner(out.chown)) {
    reject(copy.chown->span, "invalid user index: -1",
           "the root is empty so far and knows no names: give numbers to --chown");
  }
  return out;
}

std::string created_by(const CopyRequest& request) {
  std::string out = request.syntax.add ? "ADD" : "COPY";
  if (request.syntax.parents) out += " --parents";
  if (!request.chown.empty()) out += cat(" --chown=", request.chown);
  if (!request.chmod.empty()) out += cat(" --chmod=", request.chmod);
  for (const std::string& source : request.sources) out += cat(" ", source);
  for (const Heredoc& heredoc : request.syntax.heredocs) out += cat(" <<", heredoc.name.value);
  return cat(out, " ", request.destination, " # buildkit");
}

/// Absolute; ends in a slash where the user asked for a directory ("", ".", "x/", "x/.").
std::string absolute_destination(const StageLowering& stage, const std::string& written) {
  const bool directory = written.empty() || written == "." || written.ends_with('/') || written.ends_with("/.");
  std::string path = clean_path(join_workdir(stage.state.image.config.working_dir, written));
  if (directory && !path.ends_with('/')) path += '/';
  return path;
}

/// Relative to the root of the tree, which it cannot leave; "." is the root.
std::string relative_source(std::string_view written) {
  const std::string path = join_path("/", written);
  return path == "/" ? "." : path.substr(1);
}

/// With --parents the first "/./" marks where the kept part begins.
std::string pivoted_source(std::string_view written) {
  const std::size_t pivot = written.find(kPivot);
  if (pivot == std::string_view::npos) return relative_source(written);
  return cat(relative_source(written.substr(0, pivot)), kPivot, relative_source(written.substr(pivot + kPivot.size())));
}

/// The file op of one COPY or ADD while its sources are added in order; neighbours from the same input share
/// an action.
class CopyBuilder {
 public:
  CopyBuilder(StageLowering& stage, const CopyRequest& request)
      : stage_(stage), request_(request), destination_(absolute_destination(stage, request.destination)) {}

  void add_sources() {
    for (std::size_t i = 0; i < request_.sources.size(); ++i) add_source(request_.sources[i], source_span(i));
    add_heredocs();
  }
  solver::FileOp take_op() { return {{actions_.begin(), actions_.end()}}; }
  /// With `root` as input 0.
  std::vector<solver::VertexId> inputs(solver::VertexId root) const {
    std::vector<solver::VertexId> out = {root};
    out.insert(out.end(), sources_.begin(), sources_.end());
    return out;
  }

 private:
  Span source_span(std::size_t i) const { return request_.syntax.sources[i].span; }

  void add_source(const std::string& source, const Span& span);
  void add_git(GitRef ref, const Span& span);
  void add_url(const std::string& url, const Span& span);
  void add_heredocs();
  void add_path(solver::VertexId from, std::string path, bool unpack, bool is_file_tree);
  solver::VertexId tree();
  int input_of(solver::VertexId vertex);

  StageLowering& stage_;
  const CopyRequest& request_;
  const std::string destination_;
  std::vector<solver::CopyAction> actions_;
  std::vector<solver::VertexId> sources_;
};

int CopyBuilder::input_of(solver::VertexId vertex) {
  const auto known = std::find(sources_.begin(), sources_.end(), vertex);
  const auto index = known - sources_.begin();
  if (known == sources_.end()) sources_.push_back(vertex);
  return static_cast<int>(index) + 1;
}

/// `is_file_tree`: paths as the user wrote them, with --parents if it was given.
void CopyBuilder::add_path(solver::VertexId from, std::string path, bool unpack, bool is_file_tree) {
  const int input = input_of(from);
  const bool parents = is_file_tree && request_.syntax.parents;
  if (!actions_.empty() && actions_.back().input == input && actions_.back().unpack == unpack &&
      actions_.back().parents == parents) {
    actions_.back().sources.push_back(std::move(path));
    return;
  }
  solver::CopyAction action;
  action.input = input;
  action.sources = {std::move(path)};
  action.destination = destination_;
  for (const Text& exclude : request_.syntax.excludes) action.excludes.push_back(exclude.value);
  action.chown = request_.chown;
  action.chmod = request_.chmod;
  action.parents = parents;
  action.unpack = unpack;
  actions_.push_back(std::move(action));
}

/// The origin that --from names, else the build context.
solver::VertexId CopyBuilder::tree() {
  const std::optional<Origin> origin = stage_.build.table.copy_origin(request_.syntax);
  if (!origin) return stage_.build.sources.build_context(stage_.info.syntax->name, stage_.span());
  if (origin->stage && !stage_.build.states[*origin->stage].done) {
    reject(request_.syntax.from->span,
           cat("cannot copy from stage ", go_quote(request_.syntax.from->value),
               ", it needs to be defined before current stage ", go_quote(stage_.info.display_name)));
  }
  return origin_vertex(stage_, *origin);
}

void CopyBuilder::add_source(const std::string& source, const Span& span) {
  if (const std::optional<GitRef> ref = at(span, [&] { return parse_git_ref(source, false); })) {
    if (!request_.syntax.add) reject(span, "source can't be a git ref for COPY", "use ADD");
    add_git(*ref, span);
  } else if (is_http_url(source)) {
    if (!request_.syntax.add) reject(span, "source can't be a URL for COPY", "use ADD");
    add_url(source, span);
  } else {
    if (!request_.syntax.from) check_copy_source(stage_, request_.syntax.add, source);
    const bool unpack = request_.syntax.add && request_.syntax.unpack.value_or(true);
    add_path(tree(), request_.syntax.parents ? pivoted_source(source) : relative_source(source), unpack, true);
  }
}

void CopyBuilder::add_git(GitRef ref, const Span& span) {
  const std::vector<Flag>& flags = stage_.instruction->flags;
  const bool flag_given =
      std::any_of(flags.begin(), flags.end(), [](const Flag& flag) { return flag.name.value == "keep-git-dir"; });
  const bool flag = request_.syntax.keep_git_dir;
  if (flag_given && ref.keep_git_dir && *ref.keep_git_dir != flag) {
    reject(span, "inconsistent keep-git-dir configuration");
  }
  if (!request_.checksum.empty()) {
    if (!ref.checksum.empty() && ref.checksum != request_.checksum) {
      reject(span, cat("checksum mismatch ", go_quote(request_.checksum), " != ", go_quote(ref.checksum)));
    }
    ref.checksum = request_.checksum;
  }
  const bool keep = ref.keep_git_dir.value_or(flag);
  add_path(stage_.build.sources.add_git(ref, keep, cat("load ", ref.remote), stage_.span()), ".", false, false);
}

void CopyBuilder::add_url(const std::string& url, const Span& span) {
  const std::string name = url_file_name(url);
  const solver::VertexId file = at(span, [&] {
    return stage_.build.sources.add_url(url, name, request_.checksum, cat("load ", url), stage_.span());
  });
  add_path(file, escape_glob(name), request_.syntax.unpack.value_or(false), false);
}

/// The files exist in a tree of their own first, so that copying them follows the rules of every copy.
void CopyBuilder::add_heredocs() {
  const std::vector<Heredoc>& heredocs = request_.syntax.heredocs;
  if (heredocs.empty()) return;
  solver::FileOp files;
  for (const Heredoc& heredoc : heredocs) {
    if (heredoc.name.value.find('/') != std::string::npos) {
      reject(heredoc.name.span, cat("heredoc name ", go_quote(heredoc.name.value), " holds a slash"),
             "the name becomes the name of the file; directories belong to the destination");
    }
    solver::MakeFileAction file;
    file.path = join_path("/", heredoc.name.value);
    file.content = stage_.expand_heredoc(heredoc);
    files.actions.emplace_back(std::move(file));
  }
  solver::Vertex vertex;
  vertex.op = std::move(files);
  vertex.inputs = {solver::kNoInput};
  vertex.name = "[internal] preparing inline document";
  vertex.spans = {stage_.span()};
  const solver::VertexId tree = stage_.build.graph.add(std::move(vertex));
  for (const Heredoc& heredoc : heredocs) {
    add_path(tree, escape_glob(relative_source(heredoc.name.value)), false, false);
  }
}

/// The copy makes a layer on nothing, which is then put on whatever the root is: it need not run again when
/// the root changes.
void add_link(StageLowering& stage, CopyBuilder& builder, const std::string& step_name, const std::string& text) {
  solver::Vertex copy = stage.make_vertex(builder.take_op(), step_name);
  copy.inputs = builder.inputs(solver::kNoInput);
  copy.ignore_cache = stage.ignores_cache();
  const solver::VertexId layer = stage.build.graph.add(std::move(copy));
  stage.state.layer_vertices.push_back(layer);
  if (stage.state.root == solver::kNoInput) {
    stage.state.root = layer;
    return;
  }
  solver::Vertex merge = stage.make_vertex(solver::MergeOp{}, stage.same_step(cat("LINK ", text)));
  merge.inputs.push_back(layer);
  merge.ignore_cache = stage.ignores_cache();
  stage.state.root = stage.build.graph.add(std::move(merge));
}

}  // namespace

void apply(StageLowering& stage, const CopyInstruction& copy) {
  const CopyRequest request = expand_copy(stage, copy);
  const std::string text = stage.instruction_text();
  const std::string step_name = stage.next_step(text);
  CopyBuilder builder(stage, request);
  builder.add_sources();
  if (makes_link(request)) {
    add_link(stage, builder, step_name, text);
  } else {
    solver::Vertex vertex = stage.make_vertex(builder.take_op(), step_name);
    vertex.inputs = builder.inputs(stage.state.root);
    vertex.ignore_cache = stage.ignores_cache();
    stage.set_root(std::move(vertex));
  }
  stage.add_history(created_by(request), true);
}

}  // namespace cbuild::frontend
