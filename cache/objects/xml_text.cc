// SPDX-License-Identifier: Apache-2.0
// One pass over the document. Namespaces of elements are left out of their names. There is no document type and so no
// entity of one's own: nothing grows when it is read.
#include "cache/objects/xml_text.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::cache {
namespace {

constexpr std::size_t kMostXml = 1u << 20, kMostElements = 10'000, kDeepestElement = 20;

[[noreturn]] void fail_xml(std::string_view why) { throw Error(ErrorCode::corrupt, cat("XML: ", why)); }

class XmlReader {
 public:
  explicit XmlReader(std::string_view document) : rest_(document) {}

  std::vector<std::pair<std::string, std::string>> run() {
    while (!rest_.empty()) {
      if (rest_.starts_with('<')) {
        markup();
      } else {
        text();
      }
    }
    if (!open_.empty() || !seen_root_) fail_xml("the document ends too early");
    return std::move(out_);
  }

 private:
  struct Element {
    std::string name;
    std::string content;
    bool has_children = false;
  };

  void text() {
    const std::string_view part = rest_.substr(0, rest_.find('<'));
    rest_.remove_prefix(part.size());
    if (!open_.empty()) {
      open_.back().content += decoded(part);
    } else if (!trim(part).empty() && part != "\xef\xbb\xbf") {
      fail_xml("text outside of the root");
    }
  }

  void markup() {
    if (skip("<?", "?>") || skip("<!--", "-->")) return;
    if (rest_.starts_with("<!")) fail_xml("a document type or a section is not read");
    const std::size_t end = rest_.find('>');
    if (end == std::string_view::npos) fail_xml("a tag does not end");
    std::string_view tag = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    if (tag.starts_with('/')) return close(trim(tag.substr(1)));
    const bool empty = tag.ends_with('/');
    if (empty) tag.remove_suffix(1);
    open(tag.substr(0, tag.find_first_of(" \t\r\n")));
    if (empty) close(open_.back().name);
  }

  bool skip(std::string_view begin, std::string_view end) {
    if (!rest_.starts_with(begin)) return false;
    const std::size_t at = rest_.find(end, begin.size());
    if (at == std::string_view::npos) fail_xml("a comment does not end");
    rest_.remove_prefix(at + end.size());
    return true;
  }

  void open(std::string_view name) {
    if (name.empty() || name.ends_with(':') || name.find_first_of("<&\"'=") != std::string_view::npos)
      fail_xml("invalid name of an element");
    if (open_.empty() && seen_root_) fail_xml("a second root");
    if (open_.size() == kDeepestElement || ++count_ > kMostElements) fail_xml("too many elements");
    if (!open_.empty()) open_.back().has_children = true;
    seen_root_ = true;
    open_.push_back({std::string(name), {}, false});
  }

  void close(std::string_view name) {
    if (open_.empty() || open_.back().name != name) fail_xml("an end tag does not match");
    if (!open_.back().has_children) {
      std::vector<std::string> path;
      for (const Element& element : open_) path.push_back(element.name.substr(element.name.find(':') + 1));
      out_.emplace_back(join(path, "/"), std::move(open_.back().content));
    }
    open_.pop_back();
  }

  static std::string decoded(std::string_view part) {
    std::string out;
    while (!part.empty()) {
      const std::size_t amp = std::min(part.find('&'), part.size());
      out += part.substr(0, amp);
      part.remove_prefix(amp);
      if (part.empty()) break;
      const std::size_t end = part.find(';');
      if (end == std::string_view::npos || end > 12) fail_xml("invalid entity");
      out += entity(part.substr(1, end - 1));
      part.remove_prefix(end + 1);
    }
    return out;
  }

  static std::string entity(std::string_view name) {
    if (name == "amp") return "&";
    if (name == "lt") return "<";
    if (name == "gt") return ">";
    if (name == "quot") return "\"";
    if (name == "apos") return "'";
    const bool hex = name.starts_with("#x");
    const auto number = name.starts_with('#') ? parse_int(name.substr(hex ? 2 : 1), hex ? 16 : 10) : std::nullopt;
    // Only ASCII is ever written so by object stores.
    if (!number || *number < 9 || *number > 126) fail_xml("an entity that is not known");
    return std::string(1, static_cast<char>(*number));
  }

  std::string_view rest_;
  std::vector<Element> open_;
  std::size_t count_ = 0;
  bool seen_root_ = false;
  std::vector<std::pair<std::string, std::string>> out_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> xml_texts(std::string_view document) {
  if (document.size() > kMostXml) fail_xml("the document is too large");
  return XmlReader(document).run();
}

std::optional<std::string> xml_text(std::string_view document, std::string_view name) {
  for (auto& [path, text] : xml_texts(document))
    if (path == name || path.ends_with(cat('/', name))) return std::move(text);
  return std::nullopt;
}

}  // namespace cbuild::cache
