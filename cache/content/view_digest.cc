// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <tbb/parallel_for.h>

#include <map>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/content/content_tree.h"
#include "cache/content/tree_digest.h"

namespace cbuild::cache {

namespace {

constexpr std::size_t kParallelEntries = 32;

/// Reads the content of a merged tree.
class ViewScan {
 public:
  ViewScan(const TreeView& tree, const PathPatternList& ignore) : tree_(tree), ignore_(ignore) {}

  ContentEntry header(const std::string& path) const {
    const auto found = tree_.lookup(path);
    if (!found) throw Error(ErrorCode::not_found, cat("\"/", path, "\": not found"));
    ContentEntry entry = describe(*found);
    if (S_ISDIR(entry.mode)) entry.xattrs = xattr_digest(tree_.xattrs(path));
    return entry;
  }

  ContentEntry read(const std::string& path) const {
    ContentEntry entry = header(path);
    PathPatternList::ParentMatch match;
    for (std::size_t end = 0; !ignore_.empty() && !path.empty() && end != std::string::npos;) {
      end = path.find('/', end + 1);
      PathPatternList::ParentMatch self;
      (void)ignore_.matches(std::string_view(path).substr(0, end), match, self);
      match = std::move(self);
    }
    read_content(path, match, entry);
    if (entry.directory && ignore_.has_negation()) drop_childless(*entry.directory);
    return entry;
  }

 private:
  static ContentEntry describe(const TreeView::Entry& from) {
    ContentEntry entry;
    entry.name = from.name;
    entry.mode = from.st.st_mode;
    entry.uid = from.st.st_uid;
    entry.gid = from.st.st_gid;
    entry.device = from.st.st_rdev;
    entry.size = static_cast<std::uint64_t>(from.st.st_size);
    return entry;
  }

  void read_content(const std::string& path, const PathPatternList::ParentMatch& match, ContentEntry& entry) const {
    if (S_ISREG(entry.mode)) {
      if (const auto known = tree_.content(path)) {
        entry.content = *known;
        entry.xattrs = xattr_digest(tree_.xattrs(path));
        return;
      }
      const UniqueFd file = tree_.open(path, O_RDONLY | O_NONBLOCK);
      entry.content = sha256_fd(file.get());
      const SideEntry* side = tree_.side(path);
      const bool all_here = side == nullptr || side->wanted.xattrs.empty();
      entry.xattrs = xattr_digest(all_here ? sys::list_xattrs(file.get()) : tree_.xattrs(path));
    } else if (S_ISLNK(entry.mode)) {
      entry.content = sha256(tree_.read_link(path));
    } else if (S_ISDIR(entry.mode)) {
      entry.xattrs = xattr_digest(tree_.xattrs(path));
      entry.directory = read_directory(path, match);
    }
  }

  std::shared_ptr<ContentDirectory> read_directory(const std::string& path,
                                                   const PathPatternList::ParentMatch& above) const {
    auto directory = std::make_shared<ContentDirectory>();
    std::vector<PathPatternList::ParentMatch> matches;
    const std::string prefix = path.empty() ? "" : path + "/";
    for (const TreeView::Entry& found : tree_.list(path)) {
      PathPatternList::ParentMatch self;
      const bool ignored = !ignore_.empty() && ignore_.matches(prefix + found.name, above, self);
      if (ignored && (!S_ISDIR(found.st.st_mode) || !ignore_.has_negation())) continue;
      directory->entries.push_back(describe(found));
      directory->entries.back().only_for_children = ignored;
      matches.push_back(std::move(self));
    }
    const auto read_one = [&](std::size_t i) {
      read_content(prefix + directory->entries[i].name, matches[i], directory->entries[i]);
    };
    const std::size_t count = directory->entries.size();
    if (count >= kParallelEntries) {
      tbb::parallel_for(std::size_t{0}, count, read_one);
    } else {
      for (std::size_t i = 0; i < count; ++i) read_one(i);
    }
    return directory;
  }

  const TreeView& tree_;
  const PathPatternList& ignore_;
};

}  // namespace

Digest digest_tree(const TreeView& tree, const Selector& selection, const PathPatternList& ignore,
                   std::vector<KeyPart>* parts) {
  const ViewScan scan(tree, ignore);
  std::map<std::string, ContentEntry> entries;
  const auto content = [&](const std::string& path) -> const ContentEntry& {
    const auto known = entries.find(path);
    return known != entries.end() ? known->second : entries.emplace(path, scan.read(path)).first->second;
  };
  return digest_selection(
      select(tree, selection, ignore), selection, content,
      [&](const std::string& path) { return scan.header(tree.resolve(path).value_or(path)); }, parts);
}

}  // namespace cbuild::cache
