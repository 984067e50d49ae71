// SPDX-License-Identifier: Apache-2.0
// From the entries of a selection to its digest, and to the lines that explain it.
#include <algorithm>

#include "base/text.h"
#include "cache/content/content_tree.h"
#include "cache/content/digester.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kMaxKeyParts = 2000;
constexpr std::size_t kPartDigest = 7 + 32;  // "sha256:" and half of it tells two contents apart

struct Part {
  std::string label;
  const ContentEntry* entry = nullptr;
  Digest digest;
  const ContentDirectory* directory = nullptr;  ///< if it may be opened up
  bool opened = false;
};

std::string_view type_name(std::uint32_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "directory";
  if (S_ISLNK(mode)) return "symlink";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "device";
  return S_ISFIFO(mode) ? "fifo" : "other";
}

std::string octal(std::uint32_t mode) {
  std::string text;
  for (const unsigned shift : {9u, 6u, 3u, 0u}) text += static_cast<char>('0' + ((mode >> shift) & 7));
  return text;
}

/// "TYPE MODE OWNER [size=N] [xattrs=DIGEST] [open] DIGEST"; "-" for fields that do not count.
std::string describe(const Part& part, const Selector& selection) {
  const ContentEntry& entry = *part.entry;
  const bool root = part.label == ".";
  std::string text(type_name(entry.mode));
  text += ' ';
  text += selection.ignore_mode || root || S_ISLNK(entry.mode) ? std::string("-") : octal(entry.mode & 07777);
  text += ' ';
  text += selection.ignore_owner || root ? std::string("-") : cat(entry.uid, ':', entry.gid);
  if (S_ISREG(entry.mode)) text += cat(" size=", entry.size);
  if (!entry.xattrs.empty()) text += cat(" xattrs=", entry.xattrs.str().substr(0, kPartDigest));
  if (part.opened) text += " open";
  if (S_ISREG(entry.mode) || S_ISDIR(entry.mode) || S_ISLNK(entry.mode))
    text += cat(' ', part.digest.str().substr(0, kPartDigest));
  return text;
}

/// The largest directory that can be opened up without going over the limit.
Part* largest_that_fits(std::vector<Part>& parts) {
  Part* best = nullptr;
  for (Part& part : parts) {
    if (part.directory == nullptr || part.opened) continue;
    const std::size_t count = part.directory->entries.size();
    if (count == 0 || parts.size() + count > kMaxKeyParts) continue;
    if (best == nullptr || count > best->directory->entries.size()) best = &part;
  }
  return best;
}

void open_up(const Digester& digester, Part& part, std::vector<Part>& out) {
  part.opened = true;
  const std::string prefix = part.label == "." ? std::string() : part.label + "/";
  for (const Digester::Child& child : digester.children(*part.directory))
    out.push_back({prefix + child.entry->name, child.entry, child.digest,
                   digester.can_descend() ? child.entry->directory.get() : nullptr});
}

void explain(const Digester& digester, const Selector& selection, std::vector<Part> parts, std::vector<KeyPart>& out) {
  if (parts.size() > kMaxKeyParts) parts.resize(kMaxKeyParts);
  std::vector<Part> below;
  while (Part* part = largest_that_fits(parts)) {
    below.clear();
    open_up(digester, *part, below);
    parts.insert(parts.end(), std::make_move_iterator(below.begin()), std::make_move_iterator(below.end()));
  }
  for (const Part& part : parts) out.push_back({part.label, describe(part, selection)});
}

/// The directories between the pivot (or the root) and a path asked for with --parents are copied too, with
/// their metadata.
void append_parents(const Digester& digester, const Selected& selected, const HeaderOf& header, std::string& out) {
  const std::size_t pivot = selected.as.find(kPivot);
  const std::string rest = pivot == std::string::npos ? selected.as : selected.as.substr(pivot + kPivot.size());
  std::string path = pivot == std::string::npos ? std::string() : selected.as.substr(0, pivot);
  const std::vector<std::string> names = split(rest, '/');
  for (std::size_t i = 0; i + 1 < names.size(); ++i) {
    path += path.empty() ? names[i] : "/" + names[i];
    digester.append_line(out, names[i], header(path), {});
  }
}

}  // namespace

Digest digest_selection(const std::vector<Selected>& selected, const Selector& selection, const ContentOf& content,
                        const HeaderOf& header, std::vector<KeyPart>* parts) {
  const Digester digester(selection);
  std::vector<Digest> items;
  std::vector<Part> lines;
  for (const Selected& one : selected) {
    if (one.kind == Selected::Kind::pivot_alone) {
      items.push_back(sha256(""));
      continue;
    }
    const ContentEntry& entry = content(one.path);
    items.push_back(digester.item(entry, one.path.empty()));
    if (parts != nullptr)
      lines.push_back({one.as.empty() ? "." : one.as, &entry, digester.payload(entry), entry.directory.get()});
  }
  if (parts != nullptr) explain(digester, selection, std::move(lines), *parts);
  if (selected.size() == 1 && !selected[0].wildcard && !selection.parents) return items[0];
  CanonicalWriter list;
  for (std::size_t i = 0; i < selected.size(); ++i) {
    const bool named = selected[i].wildcard || selection.parents;
    std::string parents;
    if (selected[i].kind == Selected::Kind::below_pivot) append_parents(digester, selected[i], header, parents);
    list.text(named ? selected[i].as : "").text(parents).digest(items[i]);
  }
  return list.hash();
}

}  // namespace cbuild::cache
