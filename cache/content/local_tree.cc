// SPDX-License-Identifier: Apache-2.0
// A local directory whose selections are digested for keys. Each selection is scanned once (local_scan.cc); later ones
// share directories that an earlier one has scanned. At the end the table of stat data is written again: rows seen now,
// and the old ones of names and directories that no selection looked at, as another build may need them.
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/content_tree.h"
#include "cache/content/local_scan.h"
#include "cache/content/tree_digest.h"

namespace cbuild::cache {

namespace {

using Directories = StatTable::Directories;

/// Rows of one directory: those seen now, and the old ones of names that were not looked at.
void merge_rows(std::vector<StatTable::Row>& rows, const StatTable::Block& old,
                const std::vector<std::string>* ignored) {
  for (StatTable::Row& row : old.rows()) {
    if (ignored != nullptr && !std::binary_search(ignored->begin(), ignored->end(), row.name)) continue;
    const bool seen = std::any_of(rows.begin(), rows.end(), [&](const auto& r) { return r.name == row.name; });
    if (ignored != nullptr || !seen) rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

}  // namespace

struct LocalTree::Impl {
  Impl(std::function<int()> scans_directory, const std::string& at, const std::vector<std::string>& patterns)
      : scans(std::move(scans_directory)),
        path(at),
        root(sys::open_at(AT_FDCWD, at, O_RDONLY | O_DIRECTORY)),
        table_name(sha256(clean_path(at)).hex()),
        view(TreeView::of_directory(root.get())),
        ignore(patterns) {}

  const StatTable& known_table();
  const ContentEntry& content(const std::string& at);
  std::shared_ptr<ContentDirectory> scanned(const std::string& at) const;
  void collect(const ContentDirectory& directory, const std::string& at, Directories& out);
  void save();

  std::function<int()> scans;  ///< descriptor of the directory of tables
  std::string path;
  UniqueFd root;
  std::string table_name;
  TreeView view;
  PathPatternList ignore;
  std::mutex mutex;
  std::optional<StatTable> table;
  std::atomic<bool> changed{false};
  std::map<std::string, ContentEntry> entries;  ///< by path: entries that selections asked for
};

const StatTable& LocalTree::Impl::known_table() {
  if (!table) table = StatTable::load(scans(), table_name);
  return *table;
}

std::shared_ptr<ContentDirectory> LocalTree::Impl::scanned(const std::string& at) const {
  if (const auto known = entries.find(at); known != entries.end()) return known->second.directory;
  for (const auto& [top, entry] : entries) {
    if (!entry.directory || (!top.empty() && !at.starts_with(top + "/"))) continue;
    const ContentDirectory* directory = entry.directory.get();
    std::shared_ptr<ContentDirectory> found;
    for (const std::string& name : split(top.empty() ? at : at.substr(top.size() + 1), '/')) {
      const auto child = std::lower_bound(directory->entries.begin(), directory->entries.end(), name,
                                          [](const ContentEntry& e, const std::string& n) { return e.name < n; });
      found = child != directory->entries.end() && child->name == name ? child->directory : nullptr;
      if (!found) break;
      directory = found.get();
    }
    if (found) return found;
  }
  return nullptr;
}

const ContentEntry& LocalTree::Impl::content(const std::string& at) {
  if (const auto known = entries.find(at); known != entries.end()) return known->second;
  const LocalScan scan(
      root.get(), known_table(), ignore, [this](const std::string& p) { return scanned(p); }, changed);
  return entries.emplace(at, scan.read(at)).first->second;
}

void LocalTree::Impl::collect(const ContentDirectory& directory, const std::string& at, Directories& out) {
  if (out.contains(at)) return;
  const StatTable::Block old = known_table().directory(at);
  std::vector<StatTable::Row> rows;
  for (const ContentEntry& entry : directory.entries) {
    if (entry.cacheable) rows.push_back({entry.name, {entry.id, entry.content, entry.xattrs}});
  }
  std::vector<std::string> ignored = directory.ignored;
  std::sort(ignored.begin(), ignored.end());
  merge_rows(rows, old, &ignored);
  out.emplace(at, std::move(rows));
  for (const ContentEntry& entry : directory.entries) {
    if (entry.directory) collect(*entry.directory, at.empty() ? entry.name : at + "/" + entry.name, out);
  }
}

void LocalTree::Impl::save() {
  if (!changed) return;
  Directories out;
  for (const auto& [at, entry] : entries) {
    if (entry.directory) collect(*entry.directory, at, out);
  }
  std::map<std::string, std::vector<StatTable::Row>> single;
  for (const auto& [at, entry] : entries) {
    if (at.empty() || !entry.cacheable) continue;
    const std::string parent = at.find('/') == std::string::npos ? "" : dir_name(at);
    if (out.contains(parent)) continue;
    single[parent].push_back({entry.name, {entry.id, entry.content, entry.xattrs}});
  }
  for (auto& [parent, rows] : single) {
    merge_rows(rows, known_table().directory(parent), nullptr);
    out.emplace(parent, std::move(rows));
  }
  for (const std::string& at : known_table().paths()) {
    // Directories nobody asked for this time stay known; those below a scanned one that is gone do not.
    const bool scanned_above = std::any_of(entries.begin(), entries.end(), [&](const auto& top) {
      return top.second.directory && (top.first.empty() || at == top.first || at.starts_with(top.first + "/"));
    });
    if (!scanned_above && !out.contains(at)) out.emplace(at, known_table().directory(at).rows());
  }
  StatTable::write(scans(), table_name, out);
}

LocalTree::LocalTree(std::function<int()> scans, std::string path, std::vector<std::string> ignore)
    : impl_(std::make_unique<Impl>(std::move(scans), path, ignore)) {}
LocalTree::~LocalTree() = default;
LocalTree::LocalTree(LocalTree&&) noexcept = default;

const TreeView& LocalTree::view() const { return impl_->view; }
const PathPatternList& LocalTree::ignore() const { return impl_->ignore; }

Digest LocalTree::digest(const Selector& selection, std::vector<KeyPart>* parts) {
  std::scoped_lock lock(impl_->mutex);
  const auto header = [this](const std::string& at) {
    return LocalScan(impl_->root.get(), impl_->known_table(), impl_->ignore, nullptr, impl_->changed)
        .read_header(impl_->view.resolve(at).value_or(at));
  };
  const std::vector<Selected> selected = select(impl_->view, selection, impl_->ignore);
  return digest_selection(
      selected, selection, [this](const std::string& at) -> const ContentEntry& { return impl_->content(at); }, header,
      parts);
}

void LocalTree::save() noexcept {
  try {
    std::scoped_lock lock(impl_->mutex);
    impl_->save();
  } catch (const std::exception&) {
    // Only a memo: the next scan reads the files again.
  }
}

}  // namespace cbuild::cache
