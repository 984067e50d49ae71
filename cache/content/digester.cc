// SPDX-License-Identifier: Apache-2.0
// A directory's digest is the hash of one line for each child in sorted order: name, type, permission bits, owner,
// device, xattrs and the child's content or, for a directory, its digest. So equal subtrees have equal digests wherever
// they lie, and nothing depends on times, inode numbers or the order of reading. The root of a tree has no line of its
// own: a checkout's root directory says nothing about its content.
#include "cache/content/digester.h"

namespace cbuild::cache {

namespace {

template <typename T>
void append_number(std::string& out, T value) {
  for (unsigned shift = 0; shift < 8 * sizeof(T); shift += 8) out += static_cast<char>(value >> shift);
}

void append_digest(std::string& out, const Digest& digest) {
  out.append(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
}

bool is_device(std::uint32_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

}  // namespace

Digest Digester::payload(const ContentEntry& entry) const {
  if (!S_ISDIR(entry.mode)) return entry.content;
  return excludes_.empty() ? whole(*entry.directory) : *filtered(*entry.directory, "", {}, nullptr);
}

void Digester::append_line(std::string& out, std::string_view name, const ContentEntry& entry,
                           const Digest& payload) const {
  append_number(out, static_cast<std::uint32_t>(name.size()));
  out += name;
  const bool no_mode = selection_.ignore_mode || S_ISLNK(entry.mode);
  append_number(out, static_cast<std::uint32_t>(entry.mode & S_IFMT));
  append_number(out, static_cast<std::uint32_t>(no_mode ? 0 : entry.mode & 07777));
  append_number(out, selection_.ignore_owner ? 0 : entry.uid);
  append_number(out, selection_.ignore_owner ? 0 : entry.gid);
  append_number(out, is_device(entry.mode) ? entry.device : std::uint64_t{0});
  append_digest(out, entry.xattrs);
  append_digest(out, payload);
}

Digest Digester::item(const ContentEntry& entry, bool is_root) const {
  const Digest inner = payload(entry);
  if (is_root) return inner;
  std::string line;
  append_line(line, "", entry, inner);
  return sha256(line);
}

std::vector<Digester::Child> Digester::children(const ContentDirectory& directory) const {
  std::vector<Child> out;
  if (!excludes_.empty()) {
    (void)filtered(directory, "", {}, &out);
    return out;
  }
  for (const ContentEntry& entry : directory.entries) out.push_back({&entry, payload(entry)});
  return out;
}

Digest Digester::whole(ContentDirectory& directory) const {
  auto& known = directory.digests[selection_.ignore_mode][selection_.ignore_owner];
  if (known) return *known;
  std::string lines;
  lines.reserve(directory.entries.size() * 112);
  for (const ContentEntry& entry : directory.entries) append_line(lines, entry.name, entry, payload(entry));
  known = sha256(lines);
  return *known;
}

// nullopt if nothing is left below. An excluded directory is kept when a negated pattern takes something
// below it back.
std::optional<Digest> Digester::filtered(const ContentDirectory& directory, const std::string& path,
                                         const PathPatternList::ParentMatch& above,
                                         std::vector<Child>* children) const {
  std::string lines;
  for (const ContentEntry& entry : directory.entries) {
    const std::string child = path.empty() ? entry.name : path + "/" + entry.name;
    PathPatternList::ParentMatch self;
    const bool excluded = excludes_.matches(child, above, self);
    if (excluded && (!S_ISDIR(entry.mode) || !excludes_.has_negation())) continue;
    std::optional<Digest> inner = entry.content;
    if (S_ISDIR(entry.mode)) inner = filtered(*entry.directory, child, self, nullptr);
    if (!inner && excluded) continue;
    const Digest digest = inner.value_or(sha256(""));
    append_line(lines, entry.name, entry, digest);
    if (children != nullptr) children->push_back({&entry, digest});
  }
  if (lines.empty() && !path.empty()) return std::nullopt;
  return sha256(lines);
}

}  // namespace cbuild::cache
