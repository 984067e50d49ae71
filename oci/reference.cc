// SPDX-License-Identifier: Apache-2.0
// Image names as docker writes them: "alpine" is docker.io/library/alpine:latest. The first component is a registry if
// it looks like a host (a dot, a colon, an upper-case letter, or localhost), as in distribution/reference; the grammar
// is small enough to check character by character.
#include "oci/reference.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/sha512.h"

namespace cbuild::oci {

namespace {

constexpr std::string_view kDefaultRegistry = "docker.io", kOfficial = "library/";
constexpr std::size_t kMaxRepository = 255, kMaxTag = 128;

[[noreturn]] void invalid(std::string_view text, std::string_view why) {
  throw Error(ErrorCode::input, cat("invalid reference ", go_quote(text), ": ", why));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

/// [a-z0-9]+ joined by ".", "_", "__" or any number of "-".
bool is_component(std::string_view text) {
  if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_lower_alnum(text[i])) {
      ++i;
      continue;
    }
    const std::size_t end = std::min(text.find_first_not_of(text[i], i), text.size());
    const std::size_t most = text[i] == '.' ? 1 : text[i] == '_' ? 2 : text[i] == '-' ? text.size() : 0;
    if (end - i > most || !is_lower_alnum(text[end])) return false;
    i = end;
  }
  return true;
}

bool is_host_label(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    const auto good = [](char c) {
      return c == ':' || is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    return text.size() > 2 && text.ends_with(']') && std::all_of(text.begin() + 1, text.end() - 1, good);
  }
  const std::vector<std::string> labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), is_host_label);
}

bool is_registry(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos) return is_host(text);
  const std::string_view port = text.substr(colon + 1);
  return is_host(text.substr(0, colon)) && !port.empty() && std::all_of(port.begin(), port.end(), is_digit);
}

bool is_tag(std::string_view text) {
  const auto word = [](char c) { return is_alnum(c) || c == '_'; };
  return !text.empty() && text.size() <= kMaxTag && word(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool names_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos || to_lower(first) != first;
}

/// Takes the registry off the front of `rest`, docker.io when there is none.
std::string take_registry(std::string_view& rest) {
  const std::size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !names_registry(rest.substr(0, slash))) return std::string(kDefaultRegistry);
  std::string registry(rest.substr(0, slash));
  rest.remove_prefix(slash + 1);
  return registry == "index.docker.io" ? std::string(kDefaultRegistry) : registry;
}

void check_repository(std::string_view text, const Reference& reference) {
  const std::string& name = reference.repository;
  if (name.empty()) invalid(text, "repository name is missing");
  if (to_lower(name) != name) invalid(text, "repository name must be lowercase");
  const std::vector<std::string> components = split(name, '/');
  if (!std::all_of(components.begin(), components.end(), is_component)) invalid(text, "invalid reference format");
  if (name.size() > kMaxRepository)
    invalid(text, cat("repository name is longer than ", kMaxRepository, " characters"));
}

}  // namespace

Reference parse_reference(std::string_view text) {
  if (Digest::from_hex(text)) invalid(text, "64 hexadecimal digits are an image id, not a name");
  Reference out;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    out.digest = Digest::parse(rest.substr(at + 1));
    if (is_sha512(rest.substr(at + 1))) out.sha512 = rest.substr(at + 1);
    if (!out.digest && out.sha512.empty()) invalid(text, "\"@\" is not followed by a sha256 or sha512 digest");
    rest = rest.substr(0, at);
  }
  out.registry = take_registry(rest);
  const std::size_t colon = rest.find(':');
  out.repository = rest.substr(0, colon);
  if (out.registry == kDefaultRegistry && !out.repository.empty() && out.repository.find('/') == std::string::npos) {
    out.repository.insert(0, kOfficial);
  }
  if (!is_registry(out.registry)) invalid(text, "invalid registry name");
  check_repository(text, out);
  if (colon != std::string_view::npos) {
    out.tag = rest.substr(colon + 1);
    if (!is_tag(out.tag)) invalid(text, "invalid tag");
  }
  if (out.tag.empty() && !out.digest && out.sha512.empty()) out.tag = "latest";
  return out;
}

namespace {
std::string suffix(const Reference& reference) {
  const std::string digest = reference.digest ? reference.digest->str() : reference.sha512;
  return (reference.tag.empty() ? "" : ":" + reference.tag) + (digest.empty() ? "" : "@" + digest);
}
}  // namespace

std::string Reference::str() const { return name() + suffix(*this); }

std::string Reference::familiar() const {
  if (registry != kDefaultRegistry) return str();
  std::string_view short_name = repository;
  if (short_name.starts_with(kOfficial) && short_name.find('/', kOfficial.size()) == std::string_view::npos) {
    short_name.remove_prefix(kOfficial.size());
  }
  return std::string(short_name) + suffix(*this);
}

}  // namespace cbuild::oci
