// SPDX-License-Identifier: Apache-2.0
//
// Repositories by URL, with the git program. Each remote has one bare repository in the store, held by one
// process at a time; a repository that git calls broken is made again, once. As little is fetched as the server allows:
// the ref with depth 1, else the commit by its name, else all refs.
#include "solver/sources/git_source.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/url_parts.h"
#include "cache/source_metadata.h"
#include "solver/sources/git_checkout.h"
#include "solver/sources/git_program.h"

namespace cbuild::solver::ops {

namespace {

constexpr int kLocked = 2;  // sharing mode of the cache mount that holds a remote's objects
constexpr auto kPoll = std::chrono::milliseconds(50);

bool is_http(std::string_view remote) { return starts_with_i(remote, "http://") || starts_with_i(remote, "https://"); }

/// A token serves every repository of github.com, submodules included; elsewhere only the remote itself.
std::string header_scope(const std::string& remote) {
  for (const char* host : {"https://github.com/", "https://www.github.com/"})
    if (remote.starts_with(host)) return host;
  return remote;
}

void check_ref(const std::string& ref) {
  const bool odd = std::any_of(ref.begin(), ref.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f ||
           std::string_view("~^:?*[\\").find(c) != std::string_view::npos;
  });
  if (odd || ref.starts_with('-') || ref.find("..") != std::string::npos || ref.find("@{") != std::string::npos)
    throw Error(ErrorCode::input, cat("invalid git ref ", go_quote(ref)));
}

/// Messages of git about a damaged store, or about a remote whose refs have changed places.
bool repository_is_broken(const CommandResult& result) {
  static constexpr std::string_view kSigns[] = {"not a git repository",
                                                "bad object",
                                                "is corrupt",
                                                "loose object",
                                                "packfile",
                                                "refname conflict",
                                                "unable to update local ref",
                                                ".lock': File exists",
                                                "index file corrupt",
                                                "shallow file has changed"};
  return std::any_of(std::begin(kSigns), std::end(kSigns),
                     [&](std::string_view sign) { return result.err.find(sign) != std::string::npos; });
}

std::string read_secret_line(const std::string& value) { return std::string(trim(value)); }

}  // namespace

std::optional<GitCommit> parse_ls_remote(std::string_view output, std::string_view ref) {
  std::map<std::string, std::string, std::less<>> objects;
  std::string head;
  for (const std::string& line : split(output, '\n')) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos) continue;
    const std::string left = line.substr(0, tab), name = line.substr(tab + 1);
    if (left.starts_with("ref: ")) {
      if (name == "HEAD") head = left.substr(5);
    } else {
      objects.emplace(name, left);
    }
  }
  const auto after = [&](std::string_view prefix) {
    return std::string(ref.starts_with(prefix) ? ref.substr(prefix.size()) : ref);
  };
  std::vector<std::string> names;
  if (ref.empty())
    names = {"HEAD"};
  else
    names = {cat("refs/", after("refs/")), cat("refs/heads/", after("refs/heads/")),
             cat("refs/tags/", after("refs/tags/"))};
  for (const std::string& name : names) {
    const auto found = objects.find(name);
    if (found == objects.end()) continue;
    GitCommit out{found->second, "", ref.empty() ? head : name};
    if (const auto peeled = objects.find(cat(name, "^{}")); peeled != objects.end()) {
      out.tag_object = out.commit;
      out.commit = peeled->second;
    }
    return out;
  }
  return std::nullopt;
}

struct GitSources::Impl {
  explicit Impl(SourceAccess a) : access(std::move(a)) {}

  GitProgram program(const std::string& remote) const;
  GitCommit ask(const std::string& remote, const std::string& ref);

  const SourceAccess access;
  std::mutex mutex;  // guards asked
  std::map<std::pair<std::string, std::string>, GitCommit> asked;
};

namespace {

/// The objects of one remote, held by this process alone.
class Repository {
 public:
  Repository(const SourceAccess& access, const std::string& remote, bool sha256)
      : remote_(remote), sha256_(sha256), mount_(lock(access, remote)), dir_(mount_.path + "/repository") {}

  const std::string& dir() const { return dir_; }

  /// Afterwards the commit with all it needs is there. `ref`: the full name of where it was found, or empty; with
  /// `ref_is_needed` it is kept too, if it still leads there.
  void bring(const GitProgram& git, const std::string& commit, const std::string& ref, bool ref_is_needed) {
    open(git, false);
    if (has(git, commit) && (!ref_is_needed || ref.empty() || leads_to(git, ref, commit))) return;
    CommandResult last = fetch_all_ways(git, commit, ref);
    if (!has(git, commit) && repository_is_broken(last)) {
      open(git, true);
      last = fetch_all_ways(git, commit, ref);
    }
    if (has(git, commit)) return;
    if (last.exit_code != 0) git.fail(last, cat("git fetch of ", shown_url(remote_)));
    throw Error(ErrorCode::not_found, cat("no branch and no tag of ", shown_url(remote_), " leads to commit ", commit));
  }

 private:
  static cache::Store::CacheMountDir lock(const SourceAccess& access, const std::string& remote) {
    while (true) {
      auto mount = access.store.try_cache_mount(cat("git ", shown_url(remote)), {}, kLocked, 0);
      if (mount) return std::move(*mount);
      if (access.cancel != nullptr) access.cancel->check();
      std::this_thread::sleep_for(kPoll);
    }
  }

  GitProgram::Place place() const { return {dir_, ""}; }

  void open(const GitProgram& git, bool afresh) {
    const int mount = mount_.dir.get();
    if (afresh) sys::remove_all_at(mount, "repository");
    if (!sys::try_stat_at(mount, "repository/HEAD")) {
      sys::remove_all_at(mount, "repository");
      git.run({"init", "--quiet", "--bare", cat("--object-format=", sha256_ ? "sha256" : "sha1"), dir_}, {});
      return;
    }
    // We hold the repository, so whoever made these is dead.
    for (const char* stale : {"shallow.lock", "packed-refs.lock", "config.lock", "HEAD.lock"})
      sys::unlink_at(mount, cat("repository/", stale));
  }

  bool has(const GitProgram& git, const std::string& commit) const {
    return git.try_run({"cat-file", "-e", cat(commit, "^{commit}")}, place()).exit_code == 0;
  }

  bool leads_to(const GitProgram& git, const std::string& ref, const std::string& commit) const {
    const CommandResult found =
        git.try_run({"rev-parse", "--verify", "--quiet", cat(kept_ref(ref), "^{commit}")}, place());
    return found.exit_code == 0 && trim(found.out) == commit;
  }

  CommandResult fetch(const GitProgram& git, const std::vector<std::string>& options,
                      const std::vector<std::string>& refspecs) const {
    std::vector<std::string> arguments = {"fetch", "--quiet", "--force", "--no-tags", "--no-write-fetch-head"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.insert(arguments.end(), {"--", remote_});
    arguments.insert(arguments.end(), refspecs.begin(), refspecs.end());
    return git.try_run(arguments, place());
  }

  /// As little as possible; servers that cannot cut history send it all.
  CommandResult fetch_shallow(const GitProgram& git, const std::string& refspec) const {
    CommandResult result = fetch(git, {"--depth=1"}, {refspec});
    const bool unable =
        result.err.find("shallow") != std::string::npos || result.err.find("--depth") != std::string::npos;
    if (result.exit_code == 0 || !unable) return result;
    const bool shallow = sys::try_stat_at(mount_.dir.get(), "repository/shallow").has_value();
    return fetch(git, shallow ? std::vector<std::string>{"--unshallow"} : std::vector<std::string>{}, {refspec});
  }

  /// By the ref where the commit was seen, by its own name (not every server allows that), then everything.
  CommandResult fetch_all_ways(const GitProgram& git, const std::string& commit, const std::string& ref) const {
    CommandResult result;
    if (!ref.empty()) {
      result = fetch_shallow(git, cat("+", ref, ":", kept_ref(ref)));
      if (has(git, commit) || repository_is_broken(result)) return result;
    }
    result = fetch_shallow(git, cat("+", commit, ":", kept_ref(commit)));
    if (has(git, commit) || repository_is_broken(result)) return result;
    const bool shallow = sys::try_stat_at(mount_.dir.get(), "repository/shallow").has_value();
    return fetch(git,
                 shallow ? std::vector<std::string>{"--prune", "--unshallow"} : std::vector<std::string>{"--prune"},
                 {"+refs/heads/*:refs/cbuild/heads/*", "+refs/tags/*:refs/cbuild/tags/*"});
  }

  const std::string remote_;
  const bool sha256_;
  cache::Store::CacheMountDir mount_;
  const std::string dir_;
};

}  // namespace

GitProgram GitSources::Impl::program(const std::string& remote) const {
  GitProgram git(access.cancel, access.limits);
  // A repository over https may have submodules over ssh; these are not offered the agent.
  git.use_ssh(is_http(remote) || !access.ssh_agent ? std::string() : access.ssh_agent(),
              cat(access.store.root(), "/known_hosts"));
  if (!is_http(remote)) return git;
  const std::string scope = header_scope(without_user_info(remote));
  const std::string host = host_of(remote, true);
  for (const std::string& suffix : {cat(".", host), std::string()}) {
    if (!access.secret) break;
    if (const auto header = access.secret(cat("GIT_AUTH_HEADER", suffix))) {
      git.authorize(scope, read_secret_line(*header));
      return git;
    }
    if (const auto token = access.secret(cat("GIT_AUTH_TOKEN", suffix))) {
      git.authorize(scope, cat("basic ", base64_encode(cat("x-access-token:", read_secret_line(*token)))));
      return git;
    }
  }
  if (const std::string basic = basic_authorization(remote); !basic.empty()) git.authorize(scope, basic);
  return git;
}

GitCommit GitSources::Impl::ask(const std::string& remote, const std::string& ref) {
  if (remote.starts_with('-')) throw Error(ErrorCode::input, cat("invalid git remote ", go_quote(remote)));
  check_ref(ref);
  SourceTask task(access, cat("fetch git ref ", shown_url(remote), ref.empty() ? "" : "#", ref));
  const std::string url = is_http(remote) ? without_user_info(remote) : remote;
  const GitProgram git = program(remote);
  std::vector<std::string> arguments = {"ls-remote", "--symref", "--", url};
  if (ref.empty())
    arguments.emplace_back("HEAD");
  else
    arguments.insert(arguments.end(), {ref, cat(ref, "^{}")});
  const CommandResult result = git.try_run(arguments, {});
  if (result.exit_code != 0) git.fail(result, cat("git ls-remote of ", shown_url(remote)));
  const auto found = parse_ls_remote(result.out, ref);
  if (!found || (found->commit.size() != 40 && found->commit.size() != 64)) {
    throw Error(ErrorCode::not_found, cat("repository ", shown_url(remote), " has no ref ", ref.empty() ? "HEAD" : ref))
        .with_hint("name a branch, a tag or a whole commit id");
  }
  task.done(false);
  return *found;
}

GitSources::GitSources(SourceAccess access) : impl_(std::make_unique<Impl>(std::move(access))) {}
GitSources::~GitSources() = default;

GitCommit GitSources::pin(const std::string& remote, const std::string& ref) {
  const std::pair key(remote, ref);
  {
    const std::lock_guard lock(impl_->mutex);
    if (const auto found = impl_->asked.find(key); found != impl_->asked.end()) return found->second;
  }
  const GitCommit commit = impl_->ask(remote, ref);
  const std::lock_guard lock(impl_->mutex);
  return impl_->asked.emplace(key, commit).first->second;
}

std::int64_t GitSources::commit_time(const std::string& remote, const std::string& commit, const std::string& ref) {
  const Digest key = CanonicalWriter().text("commit time").text(commit).hash();
  if (const auto known = cache::read_source_metadata(impl_->access.store, key))
    if (const auto time = parse_int(*known)) return *time;
  SourceTask task(impl_->access, cat("fetch git ref ", shown_url(remote), "#", commit));
  Repository repository(impl_->access, is_http(remote) ? without_user_info(remote) : remote, commit.size() == 64);
  const GitProgram git = impl_->program(remote);
  repository.bring(git, commit, ref, false);
  const std::string text = git.run({"log", "-1", "--format=%ct", cat(commit, "^{commit}")}, {repository.dir(), ""});
  const auto time = parse_int(trim(text));
  if (!time) throw Error(ErrorCode::corrupt, cat("commit ", commit, " has no time"));
  cache::write_source_metadata(impl_->access.store, key, std::to_string(*time));
  task.done(false);
  return *time;
}

void GitSources::check_out(const GitSource& source, cache::Staging& target) {
  const SourceAccess& access = impl_->access;
  const std::string url = is_http(source.remote) ? without_user_info(source.remote) : source.remote;
  Repository repository(access, url, source.commit.size() == 64);
  const GitProgram git = impl_->program(source.remote);
  repository.bring(git, source.commit, source.ref.starts_with("refs/") ? source.ref : "", source.keep_git_dir);
  ops::check_out(git, {repository.dir(), url, access.store}, source, target);
}

}  // namespace cbuild::solver::ops
