// SPDX-License-Identifier: Apache-2.0
// From what a selection picked to its digest, and to the lines that explain it.
#include <algorithm>

#include "base/text.h"
#include "cache/content_tree.h"
#include "cache/digester.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kMaxParts = 64;
constexpr std::string_view kPivot = "/./";

struct Part {
  KeyPart line;
  const ContentDirectory* directory = nullptr;  ///< if it may be opened up
};

/// Where the largest directory is that can be replaced by its children without going over the limit.
std::vector<Part>::iterator largest_that_fits(std::vector<Part>& parts) {
  auto best = parts.end();
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (part->directory == nullptr) continue;
    const std::size_t count = part->directory->entries.size();
    if (count == 0 || parts.size() - 1 + count > kMaxParts) continue;
    if (best == parts.end() || count > best->directory->entries.size()) best = part;
  }
  return best;
}

std::vector<Part> open_up(const Digester& digester, const Part& part) {
  std::vector<Part> out;
  for (const Digester::Child& child : digester.children(*part.directory)) {
    std::string label =
        part.line.label == "." ? child.entry->name : cat(part.line.label, '/', child.entry->name);
    out.push_back({{std::move(label), child.digest.str()},
                   digester.can_descend() ? child.entry->directory.get() : nullptr});
  }
  return out;
}

void explain(const Digester& digester, std::vector<Part> parts, std::vector<KeyPart>& out) {
  if (parts.size() > kMaxParts) parts.resize(kMaxParts);
  for (auto part = largest_that_fits(parts); part != parts.end(); part = largest_that_fits(parts)) {
    std::vector<Part> below = open_up(digester, *part);
    const auto at = parts.erase(part);
    parts.insert(at, std::make_move_iterator(below.begin()), std::make_move_iterator(below.end()));
  }
  for (Part& part : parts) out.push_back(std::move(part.line));
}

/// The directories between the pivot (or the root) and a path asked for with --parents are copied too, with
/// their metadata.
void append_parents(const Digester& digester, const Selected& selected, const HeaderOf& header,
                    std::string& out) {
  const std::size_t pivot = selected.as.find(kPivot);
  const std::string rest =
      pivot == std::string::npos ? selected.as : selected.as.substr(pivot + kPivot.size());
  std::string path = pivot == std::string::npos ? std::string() : selected.as.substr(0, pivot);
  const std::vector<std::string> names = split(rest, '/');
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    path += path.empty() ? names[i] : "/" + names[i];
    digester.append_line(out, names[i], header(path), {});
  }
}

}  // namespace

Digest digest_selection(const std::vector<Selected>& selected, const Selection& selection,
                        const ContentOf& content, const HeaderOf& header, std::vector<KeyPart>* parts) {
  const Digester digester(selection);
  std::vector<Digest> items;
  std::vector<Part> lines;
  for (const Selected& one : selected) {
    const ContentEntry& entry = content(one.path);
    items.push_back(digester.item(entry, one.path.empty()));
    if (parts != nullptr)
      lines.push_back({{one.as.empty() ? "." : one.as, items.back().str()}, entry.directory.get()});
  }
  if (parts != nullptr) explain(digester, std::move(lines), *parts);
  if (selected.size() == 1 && !selected[0].wildcard && !selection.parents) return items[0];
  CanonicalWriter list;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    const bool named = selected[i].wildcard || selection.parents;
    std::string parents;
    if (selection.parents) append_parents(digester, selected[i], header, parents);
    list.text(named ? selected[i].as : "").text(parents).digest(items[i]);
  }
  return list.hash();
}

}  // namespace cbuild::cache
