// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace cbuild {

/// "scheme://[user@]host[:port][/path][?query][#fragment]" (RFC 3986, appendix B) taken apart: views into the text,
/// neither decoded nor checked, except that the scheme is one. Git's "user@host:path" is not a URL.
struct UrlParts {
  std::string_view scheme;  ///< as written
  std::optional<std::string_view> user_info;
  std::string_view authority;  ///< "host[:port]", without the user; an IPv6 address keeps its brackets
  std::string_view path;       ///< with its '/', or empty
  std::string_view query;      ///< with its '?', or empty
  std::string_view fragment;   ///< with its '#', or empty

  std::string_view host() const;
};

/// nullopt for a text that does not begin with a scheme and "://".
std::optional<UrlParts> split_url(std::string_view text);
/// The same URL without its user; any other text as it is.
std::string without_user_info(std::string_view text);
/// "%41" becomes "A"; all else stays as it is.
std::string percent_decode(std::string_view text);
/// Whether every percent sign begins an escape such as "%41".
bool has_whole_escapes(std::string_view text);

}  // namespace cbuild
