// SPDX-License-Identifier: Apache-2.0
#include "frontend/lower_sources.h"

#include "base/error.h"
#include "base/text.h"
#include "frontend/config_base.h"
#include "frontend/lower_diagnostic.h"
#include "oci/reference.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kContextFileName = "context";

std::string without_scheme(std::string_view value) {
  value.remove_prefix(value.find(':') + 1);
  if (value.starts_with("//")) value.remove_prefix(2);
  return std::string(value);
}

bool is_scratch(const NamedContext& context) {
  return context.kind == NamedContext::Kind::image && without_scheme(context.value) == "scratch";
}

/// "Dockerfile:3: FROM busybox", the frame around an error that came from outside.
std::string place(const Span& span, const std::string& dockerfile_name) {
  if (!span) return dockerfile_name;
  const std::uint32_t line = span.source->position(span.begin).line;
  return cat(span.source->name(), ":", line, ": ", trim(span.source->line(line)));
}

std::string nearest_stage(const std::string& reference, const StageTable& stages) {
  const std::optional<std::string> near = suggest(reference, stages.names());
  return near ? cat("did you mean ", *near, "?") : "";
}

/// "docker.io/library/busybox:latest@sha256:...".
std::string pinned_name(const std::string& reference, const Digest& manifest) {
  oci::Reference parsed = oci::parse_reference(reference);
  if (!parsed.digest && !manifest.empty()) parsed.digest = manifest;
  return parsed.str();
}

oci::Platform chosen_platform(const oci::Platform& wanted, bool explicitly, const oci::ImageConfig& image) {
  const oci::Platform& found = image.platform;
  if (explicitly || found.architecture.empty()) return wanted;
  if (found.os == wanted.os && found.architecture == wanted.architecture) return wanted;
  return oci::normalize(found);
}

bool is_commit(const std::string& object, const std::string& wanted) {
  return !object.empty() && object.starts_with(wanted);
}

}  // namespace

std::string context_step_name(const NamedContext& context) {
  switch (context.kind) {
    case NamedContext::Kind::image: return cat("[context ", context.name, "] ", without_scheme(context.value));
    case NamedContext::Kind::layout: return cat("[context ", context.name, "] OCI load from client");
    case NamedContext::Kind::local: return cat("[context ", context.name, "] load from client");
    case NamedContext::Kind::git:
    case NamedContext::Kind::http: break;
  }
  return cat("[context ", context.name, "] ", context.value);
}

const ResolvedImage& Sources::image(const std::string& reference, const oci::Platform& platform) {
  const std::pair<std::string, std::string> key(reference, platform.str());
  const auto known = resolved_.find(key);
  if (known != resolved_.end()) return known->second;
  return resolved_.emplace(key, images_.resolve(reference, platform)).first->second;
}

ResolvedBase Sources::resolve(const std::string& reference, const std::optional<oci::Platform>& platform,
                              const Span& span, const StageTable& stages) {
  const oci::Platform wanted = platform ? *platform : options_.target_platform;
  try {
    oci::parse_reference(reference);
  } catch (const Error& e) {
    reject(span, cat("failed to parse stage name ", go_quote(reference), ": ", e.what()));
  }
  if (const auto context = at(span, [&] { return contexts_.find(reference, wanted); })) {
    return resolve_context(*context, wanted, span);
  }
  try {
    ResolvedBase out;
    out.image = image(reference, wanted);
    out.config = out.image->config;
    out.config.created.clear();
    out.platform = chosen_platform(wanted, platform || options_.platform_given, out.config);
    out.name = pinned_name(reference, out.image->manifest);
    return out;
  } catch (Error& e) {
    if (e.code() == ErrorCode::not_found && e.hint().empty()) e.with_hint(nearest_stage(reference, stages));
    e.add_context(place(span, options_.dockerfile_name));
    throw;
  }
}

ResolvedBase Sources::resolve_context(const NamedContext& context, const std::optional<oci::Platform>& platform,
                                      const Span& span) {
  ResolvedBase out;
  out.context = context;
  out.platform = platform ? *platform : options_.target_platform;
  out.name = context.value;
  const bool is_image = context.kind == NamedContext::Kind::image || context.kind == NamedContext::Kind::layout;
  if (!is_image || is_scratch(context)) {
    out.config = scratch_config(out.platform);
    return out;
  }
  try {
    out.image = image(context.value, out.platform);
    if (context.kind == NamedContext::Kind::image) {
      out.name = pinned_name(without_scheme(context.value), out.image->manifest);
    }
  } catch (Error& e) {
    e.add_context(cat("context ", context.name)).add_context(place(span, options_.dockerfile_name));
    throw;
  }
  out.config = out.image->config;
  out.config.created.clear();
  return out;
}

solver::VertexId Sources::add(const ResolvedBase& base, const std::string& step_name, const Span& span) {
  if (base.image) {
    if (has_no_layers(base.config)) return solver::kNoInput;
    solver::Vertex vertex;
    vertex.op = solver::ImageSource{base.image->manifest, base.platform.str(), oci::chain_id(base.config.diff_ids),
                                    base.image->locator};
    vertex.name = step_name;
    vertex.spans = {span};
    return graph_.add(std::move(vertex));
  }
  if (!base.context || is_scratch(*base.context)) return solver::kNoInput;
  return add_context(*base.context, step_name, span);
}

solver::VertexId Sources::add_root(const ResolvedBase& base, const std::string& step_name, const Span& span) {
  const solver::VertexId source = add(base, step_name, span);
  if (!base.context || base.context->kind != NamedContext::Kind::local) return source;
  solver::CopyAction copy;
  copy.sources = {"."};
  copy.destination = "/";
  solver::Vertex vertex;
  vertex.op = solver::FileOp{{copy}};
  vertex.inputs = {solver::kNoInput, source};
  vertex.name = step_name;
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

const std::vector<std::string>& Sources::context_patterns(const std::string& stage) {
  if (stage.empty() || !options_.stage_ignore) return options_.context_ignore;
  const auto known = stage_ignores_.find(stage);
  const auto& own = known != stage_ignores_.end()
                        ? known->second
                        : stage_ignores_.emplace(stage, options_.stage_ignore(stage)).first->second;
  return own ? *own : options_.context_ignore;
}

solver::VertexId Sources::build_context(const std::string& stage, const Span& span) {
  if (options_.context_path.empty()) return solver::kNoInput;
  solver::Vertex vertex;
  vertex.op = solver::LocalSource{"context", options_.context_path, context_patterns(stage)};
  vertex.name = "[internal] load build context";
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

solver::VertexId Sources::add_context(const NamedContext& context, const std::string& step_name, const Span& span) {
  if (context.kind == NamedContext::Kind::git) {
    const std::optional<GitRef> ref = at(span, [&] { return parse_git_ref(context.value, true); });
    return add_git(*ref, ref->keep_git_dir.value_or(false), step_name, span);
  }
  if (context.kind == NamedContext::Kind::http) {
    return add_url(context.value, std::string(kContextFileName), "", step_name, span);
  }
  const std::string directory = without_scheme(context.value);
  solver::Vertex vertex;
  vertex.op = solver::LocalSource{context.name, directory, ignore_patterns(directory)};
  vertex.name = step_name;
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

const std::vector<std::string>& Sources::ignore_patterns(const std::string& directory) {
  const auto known = ignores_.find(directory);
  if (known != ignores_.end()) return known->second;
  std::vector<std::string> patterns;
  if (options_.named_context_ignore) patterns = options_.named_context_ignore(directory);
  return ignores_.emplace(directory, std::move(patterns)).first->second;
}

SourcePinner& Sources::pinner(const std::string& url) const {
  if (options_.pinner == nullptr) {
    throw Error(ErrorCode::input, cat("no network sources are available in this call, and ", url, " is one"));
  }
  return *options_.pinner;
}

std::string Sources::pin(const GitRef& ref) {
  const auto mismatch = [&](const std::string& got) {
    throw Error(ErrorCode::input, cat("expected checksum to match ", ref.checksum, ", got ", got));
  };
  if (ref.fetch_by_commit && is_commit_id(ref.checksum)) return ref.checksum;
  if (is_commit_id(ref.ref)) {
    if (!ref.ref.starts_with(ref.checksum)) mismatch(ref.ref);
    return ref.ref;
  }
  const PinnedCommit pinned = pinner(ref.remote).pin_git(ref.remote, ref.ref);
  if (!is_commit(pinned.commit, ref.checksum) && !is_commit(pinned.tag_object, ref.checksum)) {
    mismatch(pinned.tag_object.empty() ? pinned.commit : cat(pinned.tag_object, " or ", pinned.commit));
  }
  return pinned.commit;
}

solver::VertexId Sources::add_git(const GitRef& ref, bool keep_git_dir, const std::string& step_name,
                                  const Span& span) {
  solver::Vertex vertex;
  vertex.op = solver::GitSource{ref.remote, at(span, [&] { return pin(ref); }), ref.ref, ref.subdir, keep_git_dir,
                                ref.submodules.value_or(true)};
  vertex.name = step_name;
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

solver::VertexId Sources::add_url(const std::string& url, const std::string& file_name, const std::string& checksum,
                                  const std::string& step_name, const Span& span) {
  Digest expected;
  if (!checksum.empty()) {
    const std::optional<Digest> parsed = Digest::parse(checksum);
    const bool sha256 = checksum.starts_with("sha256:");
    if (!parsed) reject(span, sha256 ? "invalid checksum digest length" : "unsupported digest algorithm",
                        "only sha256:<64 hexadecimal digits> can be checked");
    expected = *parsed;
  }
  const PinnedFile pinned = at(span, [&] { return pinner(url).pin_url(url, expected); });
  if (!expected.empty() && pinned.content != expected) {
    reject(span, cat("digest mismatch for ", url, ": ", pinned.content.str(), " (expected: ", expected.str(), ")"));
  }
  solver::Vertex vertex;
  vertex.op = solver::HttpSource{url, file_name, pinned.content, pinned.mtime_s, false};
  vertex.name = step_name;
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

}  // namespace cbuild::frontend
