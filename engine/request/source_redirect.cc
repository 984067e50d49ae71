// SPDX-License-Identifier: Apache-2.0
#include "engine/request/source_redirect.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "oci/reference.h"

namespace cbuild::engine {

namespace {

constexpr std::string_view kImagePrefix = "docker-image://", kLayoutPrefix = "oci-layout://", kGitPrefix = "git://";
constexpr char kUrlChecksum[] = "http.checksum", kGitChecksum[] = "git.checksum", kGitUrl[] = "git.fullurl";

/// Applies the policy; `kinds` are the prefixes that the result may have, `heeded` the attributes that it may set.
PolicySource convert_source(const SourcePolicy& policy, const PolicySource& source,
                            const std::vector<std::string_view>& kinds, const std::vector<std::string_view>& heeded) {
  PolicySource found = policy.apply(source);
  if (found == source) return found;
  if (std::none_of(kinds.begin(), kinds.end(), [&](auto kind) { return found.identifier.starts_with(kind); }))
    throw Error(ErrorCode::unsupported, cat("the source policy converts ", go_quote(source.identifier), " to ",
                                            go_quote(found.identifier), ", another kind of source"));
  for (const auto& [key, value] : found.attributes) {
    const auto before = source.attributes.find(key);
    if (before != source.attributes.end() && before->second == value) continue;
    if (std::find(heeded.begin(), heeded.end(), key) == heeded.end())
      throw Error(ErrorCode::unsupported, cat("the source policy sets ", go_quote(key), " of ",
                                              go_quote(source.identifier), ", which is not supported"));
  }
  return found;
}

/// Host and path, whatever the protocol: "git@github.com:a/b.git" and "https://github.com/a/b.git" are the same.
std::string place_of_remote(const std::string& remote) {
  if (const std::optional<UrlParts> url = split_url(remote)) return cat(url->authority, url->path);
  std::string place = remote;
  const std::size_t at = place.find('@');
  if (at != std::string::npos && at < place.find('/')) place.erase(0, at + 1);
  const std::size_t colon = place.find(':');
  if (colon != std::string::npos && colon < place.find('/')) {
    place[colon] = '/';
    if (place.compare(colon, 2, "//") == 0) place.erase(colon, 1);
  }
  return place;
}

std::string git_identifier(const frontend::GitRef& ref) {
  std::string out = cat(kGitPrefix, place_of_remote(ref.remote));
  if (!ref.ref.empty() || !ref.subdir.empty()) out += cat("#", ref.ref);
  return ref.subdir.empty() ? out : cat(out, ":", ref.subdir);
}

/// Takes over the parts that differ: the repository of a new identifier is fetched by https, unless the policy gives
/// its URL.
void take_git(const PolicySource& before, const PolicySource& found, frontend::GitRef& ref) {
  const auto cut = [](const std::string& identifier) { return identifier.substr(0, identifier.find('#')); };
  if (cut(found.identifier) != cut(before.identifier))
    ref.remote = cat("https://", cut(found.identifier).substr(kGitPrefix.size()));
  if (const auto url = found.attributes.find(kGitUrl); url->second != before.attributes.at(kGitUrl))
    ref.remote = url->second;
  const std::size_t hash = found.identifier.find('#');
  const std::string fragment = hash == std::string::npos ? "" : found.identifier.substr(hash + 1);
  const std::size_t colon = fragment.find(':');
  ref.ref = fragment.substr(0, colon);
  ref.subdir = colon == std::string::npos ? "" : fragment.substr(colon + 1);
  if (const auto checksum = found.attributes.find(kGitChecksum); checksum != found.attributes.end())
    ref.checksum = checksum->second;
}

}  // namespace

std::string redirect_image(const SourcePolicy& policy, const std::string& text) {
  PolicySource source{text, {}};
  if (!text.starts_with(kLayoutPrefix)) {
    const std::string name = text.starts_with(kImagePrefix) ? text.substr(kImagePrefix.size()) : text;
    source.identifier = cat(kImagePrefix, oci::parse_reference(name).str());
  }
  const PolicySource found = convert_source(policy, source, {kImagePrefix, kLayoutPrefix}, {});
  return found == source ? text : found.identifier;
}

void redirect_url(const SourcePolicy& policy, std::string& url, Digest& expected) {
  PolicySource source{url, {}};
  if (!expected.empty()) source.attributes[kUrlChecksum] = expected.str();
  const PolicySource found = convert_source(policy, source, {"http://", "https://"}, {kUrlChecksum});
  url = found.identifier;
  const auto checksum = found.attributes.find(kUrlChecksum);
  if (found == source || checksum == found.attributes.end()) return;
  const auto digest = Digest::parse(checksum->second);
  if (!digest)
    throw Error(ErrorCode::input,
                cat("source policy: invalid http.checksum ", go_quote(checksum->second), " for ", url));
  expected = *digest;
}

void redirect_git(const SourcePolicy& policy, frontend::GitRef& ref) {
  PolicySource source{git_identifier(ref), {{kGitUrl, ref.remote}}};
  if (!ref.checksum.empty()) source.attributes[kGitChecksum] = ref.checksum;
  const PolicySource found = convert_source(policy, source, {kGitPrefix}, {kGitUrl, kGitChecksum});
  if (found != source) take_git(source, found, ref);
}

void permit_local(const SourcePolicy& policy, const std::string& name) {
  const PolicySource source{cat("local://", name), {}};
  convert_source(policy, source, {source.identifier}, {});
}

}  // namespace cbuild::engine
