// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/lower_contexts.h"

#include "base/error.h"
#include "base/text.h"
#include "frontend/stages/lower_remote.h"
#include "oci/reference.h"

namespace cbuild::frontend {

namespace {

constexpr std::string_view kPlatformMark = "::";

std::string canonical_name(std::string_view name) {
  const std::size_t mark = name.find(kPlatformMark);
  std::string out = familiar_name(name.substr(0, mark));
  if (mark == std::string_view::npos) return out;
  const std::string_view platform = name.substr(mark + kPlatformMark.size());
  const std::optional<oci::Platform> parsed = oci::parse_platform(platform);
  return cat(out, kPlatformMark, parsed ? parsed->str() : std::string(platform));
}

std::optional<NamedContext::Kind> kind_of(std::string_view value) {
  const std::string_view scheme = value.substr(0, value.find(':'));
  if (scheme == "docker-image") return NamedContext::Kind::image;
  if (scheme == "oci-layout") return NamedContext::Kind::layout;
  if (scheme == "local") return NamedContext::Kind::local;
  if (parse_git_ref(value, true)) return NamedContext::Kind::git;
  if (is_http_url(value)) return NamedContext::Kind::http;
  return std::nullopt;
}

}  // namespace

NamedContexts::NamedContexts(const std::map<std::string, std::string>& contexts) {
  for (const auto& [name, value] : contexts) values_.emplace(canonical_name(name), value);
}

std::optional<NamedContext> NamedContexts::find(std::string_view name, const oci::Platform& platform) const {
  if (values_.empty() || iequals(name, "scratch") || iequals(name, "context")) return std::nullopt;
  const std::string familiar = familiar_name(name);
  const std::string with_platform = cat(familiar, kPlatformMark, oci::normalize(platform).str());
  for (const std::string& key : {with_platform, familiar}) {
    if (const auto found = values_.find(key); found != values_.end()) return make_named_context(key, found->second);
  }
  return std::nullopt;
}

std::string familiar_name(std::string_view name) {
  std::string out(name);
  try {
    out = oci::parse_reference(name).familiar();
  } catch (const Error& e) {
    if (e.code() != ErrorCode::input) throw;
  }
  constexpr std::string_view kLatest = ":latest";
  if (out.ends_with(kLatest)) out.resize(out.size() - kLatest.size());
  return out;
}

NamedContext make_named_context(const std::string& name, const std::string& value) {
  if (value.find(':') == std::string::npos) {
    throw Error(ErrorCode::input, cat("invalid context specifier ", value, " for ", name))
        .with_hint("use docker-image://NAME, oci-layout://PATH, a directory or the URL of a repository or file");
  }
  const std::optional<NamedContext::Kind> kind = kind_of(value);
  if (!kind) {
    throw Error(ErrorCode::input, cat("unsupported context source ", value.substr(0, value.find(':')), " for ", name));
  }
  return {*kind, name, value};
}

}  // namespace cbuild::frontend
