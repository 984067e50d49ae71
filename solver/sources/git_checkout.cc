// SPDX-License-Identifier: Apache-2.0
// A checkout has a git directory of its own, which borrows the objects of the shared repository: settings that
// submodules write never outlive the checkout. A directory of the repository is walked to by descriptor after the
// checkout, so that a symbolic link in its place leads nowhere.
#include "solver/sources/git_checkout.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "solver/sources/source_access.h"

namespace cbuild::solver::ops {

namespace {

constexpr std::size_t kMaxShallow = 64u << 20;
constexpr mode_t kOwnerBits = 0700;

/// The modes that git uses under any umask: 0644, 0755, and for its own objects 0444.
mode_t settled_mode(const struct stat& st) {
  if (S_ISDIR(st.st_mode)) return 0755;
  const mode_t owner = st.st_mode & kOwnerBits;
  return owner | ((owner & 0500) >> 3) | ((owner & 0500) >> 6);
}

/// Modes and times of all below a directory; `.git` files of submodules go, if wanted.
class Settler {
 public:
  Settler(std::optional<std::int64_t> time_s, bool drop_links) : time_s_(time_s), drop_links_(drop_links) {}

  void settle(int dirfd) const {
    for (const std::string& name : sys::list_dir(dirfd)) settle_entry(dirfd, name);
    if (::fchmod(dirfd, 0755) != 0) throw_errno(errno, "chmod of a checkout");
    set_time(dirfd, ".");
  }

 private:
  void settle_entry(int dirfd, const std::string& name) const {
    const struct stat st = sys::stat_at(dirfd, name);
    if (S_ISDIR(st.st_mode)) return settle(sys::open_at(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).get());
    if (drop_links_ && name == ".git" && S_ISREG(st.st_mode)) {
      sys::unlink_at(dirfd, name);
      return;
    }
    if (S_ISREG(st.st_mode) && ::fchmodat(dirfd, name.c_str(), settled_mode(st), 0) != 0) throw_errno(errno, name);
    set_time(dirfd, name);
  }

  void set_time(int dirfd, const std::string& name) const {
    if (!time_s_) return;
    const struct timespec times[2] = {{*time_s_, 0}, {*time_s_, 0}};
    if (::utimensat(dirfd, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno(errno, name);
  }

  const std::optional<std::int64_t> time_s_;
  const bool drop_links_;
};

std::string relative_subdir(const std::string& subdir) {
  const std::string path = clean_path(cat("/", subdir));
  return path.substr(1);
}

UniqueFd open_subdir(int root, const std::string& path) {
  UniqueFd at = sys::open_at(root, ".", O_RDONLY | O_DIRECTORY);
  for (const std::string& part : split(path, '/')) {
    const auto st = sys::try_stat_at(at.get(), part);
    if (!st) throw Error(ErrorCode::input, cat("subdir ", path, ": ", part, " is not in the repository"));
    if (!S_ISDIR(st->st_mode)) throw Error(ErrorCode::input, cat("subdir ", path, ": ", part, " is not a directory"));
    at = sys::open_at(at.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  return at;
}

class Checkout {
 public:
  Checkout(const GitProgram& git, const CheckoutOrigin& origin, const GitSource& source, cache::Staging& target)
      : git_(git),
        origin_(origin),
        source_(source),
        target_(target),
        scratch_(origin.store.stage("git")),
        subdir_(relative_subdir(source.subdir)),
        keep_(source.keep_git_dir && subdir_.empty()) {}

  void run() {
    const bool whole = subdir_.empty();
    if (!whole) sys::mkdir_at(scratch_.tree_fd(), "tree", 0755);
    place_.work_tree = whole ? target_.path() : scratch_.path() + "/tree";
    place_.git_dir = keep_ ? target_.path() + "/.git" : scratch_.path() + "/git";
    prepare();
    git_.run({"checkout", "--quiet", "--force", "--detach", source_.commit}, place_);
    if (source_.submodules) update_submodules();
    if (keep_) sys::unlink_at(target_.tree_fd(), ".git/FETCH_HEAD");
    if (!whole) take_part();
    Settler(source_.commit_mtime ? std::optional(commit_time()) : std::nullopt, !keep_).settle(target_.tree_fd());
  }

 private:
  void prepare() {
    git_.run({"init", "--quiet", cat("--object-format=", source_.commit.size() == 64 ? "sha256" : "sha1")}, place_);
    git_.run({"remote", "add", "origin", origin_.url}, place_);
    if (keep_) return fetch_kept();
    const int scratch = scratch_.tree_fd();
    sys::mkdir_all(scratch, "git/objects/info", 0755);
    sys::write_file_at(scratch, "git/objects/info/alternates", cat(origin_.repository, "/objects\n"));
    if (const auto shallow = sys::try_open_at(AT_FDCWD, origin_.repository + "/shallow", O_RDONLY))
      sys::write_file_at(scratch, "git/shallow", sys::read_all(shallow->get(), kMaxShallow));
  }

  /// A repository that is to stay has objects of its own, and the ref by its name.
  void fetch_kept() {
    const CommandResult kept = git_.try_run(
        {"rev-parse", "--verify", "--quiet", cat(kept_ref(source_.ref), "^{commit}")}, {origin_.repository, ""});
    const bool by_ref = source_.ref.starts_with("refs/") && kept.exit_code == 0 && trim(kept.out) == source_.commit;
    git_.run(
        {"fetch", "--quiet", "--update-head-ok", "--no-tags", "--depth=1", "--", cat("file://", origin_.repository),
         by_ref ? cat(kept_ref(source_.ref), ":", source_.ref) : source_.commit},
        place_);
  }

  void update_submodules() {
    const auto modules = sys::try_stat_at(AT_FDCWD, place_.work_tree + "/.gitmodules");
    if (!modules || !S_ISREG(modules->st_mode)) return;
    const std::vector<std::string> update = {"submodule", "--quiet", "update", "--init", "--recursive"};
    std::vector<std::string> shallow = update;
    shallow.emplace_back("--depth=1");
    CommandResult result = git_.try_run(shallow, place_);
    if (result.exit_code != 0) result = git_.try_run(update, place_);
    if (result.exit_code != 0) git_.fail(result, cat("submodules of ", shown_url(source_.remote)));
  }

  void take_part() {
    const UniqueFd tree = sys::open_at(scratch_.tree_fd(), "tree", O_RDONLY | O_DIRECTORY);
    const UniqueFd part = open_subdir(tree.get(), subdir_);
    for (const std::string& name : sys::list_dir(part.get())) sys::rename_at(part.get(), name, target_.tree_fd(), name);
  }

  std::int64_t commit_time() const {
    const std::string text =
        git_.run({"log", "-1", "--format=%ct", cat(source_.commit, "^{commit}")}, {origin_.repository, ""});
    return parse_int(trim(text)).value_or(0);
  }

  const GitProgram& git_;
  const CheckoutOrigin& origin_;
  const GitSource& source_;
  cache::Staging& target_;
  cache::Staging scratch_;  ///< for a git directory that does not stay, and for unwanted parts of the tree
  const std::string subdir_;
  const bool keep_;
  GitProgram::Place place_;
};

}  // namespace

std::string kept_ref(const std::string& ref) { return cat("refs/cbuild/one/", sha256(ref).hex()); }

void check_out(const GitProgram& git, const CheckoutOrigin& origin, const GitSource& source, cache::Staging& target) {
  Checkout(git, origin, source, target).run();
}

}  // namespace cbuild::solver::ops
