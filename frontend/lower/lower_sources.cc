// SPDX-License-Identifier: Apache-2.0
// Whatever a build takes from outside becomes a source vertex: base images, the context, named contexts, git
// repositories, URLs. Sources are pinned here, before anything runs, and each is asked for once in a build, however
// many stages use it. A named context may stand in for an image or a stage.
#include "frontend/lower/lower_sources.h"

#include "base/error.h"
#include "base/text.h"
#include "frontend/stages/config_base.h"
#include "frontend/stages/lower_diagnostic.h"
#include "frontend/stages/source_pin.h"
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

}  // namespace

std::string describe_context(const NamedContext& context) {
  switch (context.kind) {
    case NamedContext::Kind::image:
      return std::string(without_scheme(context.value));
    case NamedContext::Kind::layout:
      return "OCI load from client";
    case NamedContext::Kind::local:
      return "load from client";
    case NamedContext::Kind::git:
    case NamedContext::Kind::http:
      break;
  }
  return context.value;
}

std::string context_step_name(const NamedContext& context) {
  return cat("[context ", context.name, "] ", describe_context(context));
}

const ResolvedImage& Sources::image(const std::string& reference, const Digest& locked, const oci::Platform& platform) {
  const std::pair<std::string, std::string> key(reference, platform.str());
  const auto known = resolved_.find(key);
  if (known != resolved_.end()) return known->second;
  return resolved_.emplace(key, images_.resolve(reference, locked, platform)).first->second;
}

/// An image that the Dockerfile names: a lock file counts, unless there is a digest already.
const ResolvedImage& Sources::named_image(const std::string& reference, const oci::Platform& platform,
                                          const Span& span) {
  const oci::Reference parsed = oci::parse_reference(reference);
  SourceLock* lock = options_.callbacks.lock;
  Digest locked;
  if (lock != nullptr && !parsed.digest && parsed.sha512.empty()) locked = lock->lock_image(parsed.str(), span);
  try {
    return image(reference, locked, platform);
  } catch (Error& error) {
    if (!locked.empty()) lock->explain(error);
    throw;
  }
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
  ResolvedBase out;
  out.image = asked_at(span, [&] {
    try {
      return named_image(reference, wanted, span);
    } catch (Error& e) {
      if (e.code() == ErrorCode::not_found && e.hint().empty()) e.with_hint(nearest_stage(reference, stages));
      throw;
    }
  });
  out.config = out.image->config;
  out.config.created.clear();
  out.wanted = wanted;
  out.platform = chosen_platform(wanted, platform || options_.platform_given, out.config);
  out.name = pinned_name(reference, out.image->manifest);
  return out;
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
  out.image = asked_at(span, [&] {
    try {
      return image(context.value, {}, out.platform);
    } catch (Error& e) {
      e.add_context(cat("context ", context.name));
      throw;
    }
  });
  if (context.kind == NamedContext::Kind::image) {
    out.name = pinned_name(without_scheme(context.value), out.image->manifest);
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
  if (!base.context || base.context->kind != NamedContext::Kind::local) return add(base, step_name, span);
  return add_copy(add(base, context_step_name(*base.context), span), step_name, span);
}

/// A layer with all of a source.
solver::VertexId Sources::add_copy(solver::VertexId source, const std::string& step_name, const Span& span) {
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
  if (stage.empty() || !options_.callbacks.stage_ignore) return options_.context_ignore;
  const auto known = stage_ignores_.find(stage);
  const auto& own = known != stage_ignores_.end()
                        ? known->second
                        : stage_ignores_.emplace(stage, options_.callbacks.stage_ignore(stage)).first->second;
  return own ? *own : options_.context_ignore;
}

solver::VertexId Sources::build_context(const std::string& stage, const Span& span) {
  if (options_.context_source) {
    const bool git = std::holds_alternative<solver::GitSource>(*options_.context_source);
    return add_source(*options_.context_source,
                      git ? "[internal] load git source" : "[internal] load remote build context", span);
  }
  if (options_.context_path.empty()) return solver::kNoInput;
  solver::Vertex vertex;
  vertex.op = solver::LocalSource{"context", options_.context_path, context_patterns(stage)};
  vertex.name = "[internal] load build context";
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

solver::VertexId Sources::build_context_root(const std::string& stage, const Span& span) {
  const solver::VertexId context = build_context(stage, span);
  if (context == solver::kNoInput || options_.context_source) return context;
  return add_copy(context, "[sbom] build context", span);
}

solver::VertexId Sources::add_context(const NamedContext& context, const std::string& step_name, const Span& span) {
  if (context.kind == NamedContext::Kind::git) {
    std::optional<GitRef> ref = at(span, [&] { return parse_git_ref(context.value, true); });
    if (options_.dry) ref->checksum.clear();
    const bool keep = ref->keep_git_dir.value_or(false);
    return add_source(asked_at(span, [&] { return pin_git_source(*ref, keep, options_.callbacks.pinner); }), step_name,
                      span);
  }
  if (context.kind == NamedContext::Kind::http) {
    const auto pin = [&] {
      return pin_http_source(context.value, std::string(kContextFileName), "", options_.callbacks.pinner);
    };
    return add_source(asked_at(span, pin), step_name, span);
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
  if (options_.callbacks.named_context_ignore) patterns = options_.callbacks.named_context_ignore(directory);
  return ignores_.emplace(directory, std::move(patterns)).first->second;
}

solver::VertexId Sources::add_source(solver::Op source, const std::string& step_name, const Span& span) {
  solver::Vertex vertex;
  vertex.op = std::move(source);
  vertex.name = step_name;
  vertex.spans = {span};
  return graph_.add(std::move(vertex));
}

solver::VertexId Sources::add_git(const GitRef& ref, bool keep_git_dir, const std::string& step_name,
                                  const Span& span) {
  GitRef asked = ref;
  if (options_.dry) asked.checksum.clear();
  return add_source(asked_at(span, [&] { return pin_named_git(asked, keep_git_dir, options_.callbacks, span); }),
                    step_name, span);
}

solver::VertexId Sources::add_url(const std::string& url, const std::string& file_name, const std::string& checksum,
                                  const std::string& step_name, const Span& span) {
  return add_source(asked_at(span, [&] { return pin_named_url(url, file_name, checksum, options_.callbacks, span); }),
                    step_name, span);
}

}  // namespace cbuild::frontend
