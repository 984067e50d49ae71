// SPDX-License-Identifier: Apache-2.0
#include "frontend/stages/source_pin.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::frontend {

namespace {

SourcePinner& need(SourcePinner* pinner, const std::string& url) {
  if (pinner != nullptr) return *pinner;
  throw Error(ErrorCode::input, cat("no network sources are available in this call, and ", url, " is one"));
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

/// The commit is believed without asking the remote where its refs point.
PinnedCommit pin_by_commit(const GitRef& ref) {
  if (ref.checksum.empty()) throw Error(ErrorCode::input, "fetch-by-commit requires a checksum or a commit SHA ref");
  if (!is_commit_id(ref.checksum)) {
    throw Error(ErrorCode::input,
                cat("fetch-by-commit requires a full commit SHA checksum, got ", go_quote(ref.checksum)));
  }
  const bool is_short = !ref.ref.empty() && !ref.ref.starts_with("refs/");
  return {ref.checksum, "", is_short ? cat("refs/heads/", ref.ref) : ref.ref};
}

bool is_commit(const std::string& object, const std::string& wanted) {
  return !object.empty() && object.starts_with(wanted);
}

PinnedCommit pin(const GitRef& ref, SourcePinner* pinner) {
  const auto mismatch = [&](const std::string& got) {
    throw Error(ErrorCode::input, cat("expected checksum to match ", ref.checksum, ", got ", got));
  };
  if (!is_hex(ref.checksum)) {
    throw Error(ErrorCode::input, cat("invalid checksum ", ref.checksum, " for Git URL, expected hex commit hash"));
  }
  if (ref.ref.starts_with('-')) throw Error(ErrorCode::input, cat("invalid git ref ", go_quote(ref.ref)));
  if (is_commit_id(ref.ref)) {
    if (!ref.ref.starts_with(ref.checksum)) mismatch(ref.ref);
    return {ref.ref, "", ref.ref};
  }
  if (ref.fetch_by_commit) return pin_by_commit(ref);
  PinnedCommit pinned = need(pinner, ref.remote).pin_git(ref.remote, ref.ref);
  if (!is_commit(pinned.commit, ref.checksum) && !is_commit(pinned.tag_object, ref.checksum)) {
    mismatch(pinned.tag_object.empty() ? pinned.commit : cat(pinned.tag_object, " or ", pinned.commit));
  }
  if (pinned.ref.empty()) pinned.ref = ref.ref;
  return pinned;
}

Digest parse_checksum(const std::string& checksum) {
  if (checksum.empty()) return {};
  const std::optional<Digest> parsed = Digest::parse(checksum);
  if (parsed) return *parsed;
  const bool sha256 = checksum.starts_with("sha256:");
  // The one well-formed digest that is not parsed: nothing is known to have it.
  if (sha256 && Digest::from_hex(checksum.substr(7)))
    throw Error(ErrorCode::input, cat("digest mismatch: nothing has the checksum ", checksum));
  throw Error(ErrorCode::input, sha256 ? "invalid checksum digest length" : "unsupported digest algorithm")
      .with_hint("only sha256:<64 hexadecimal digits> can be checked");
}

/// Runs `pin`; the lock tells about its failure if it gave the digest.
template <typename Pin>
auto explained(const SourceLock* lock, bool is_locked, const Pin& pin) {
  try {
    return pin();
  } catch (Error& error) {
    if (is_locked) lock->explain(error);
    throw;
  }
}

}  // namespace

solver::GitSource pin_git_source(const GitRef& ref, bool keep_git_dir, SourcePinner* pinner) {
  GitRef wanted = ref;
  if (pinner != nullptr) pinner->redirect_git(wanted);
  const PinnedCommit pinned = pin(wanted, pinner);
  return {wanted.remote,
          pinned.commit,
          pinned.ref,
          wanted.subdir,
          keep_git_dir,
          wanted.submodules.value_or(true),
          wanted.mtime != "checkout"};
}

solver::HttpSource pin_http_source(const std::string& url, const std::string& file_name, const std::string& checksum,
                                   SourcePinner* pinner) {
  Digest expected = parse_checksum(checksum);
  std::string where = url;
  SourcePinner& network = need(pinner, url);
  network.redirect_url(where, expected);
  const PinnedFile pinned = network.pin_url(where, expected);
  if (!expected.empty() && pinned.content != expected) {
    throw Error(ErrorCode::input,
                cat("digest mismatch for ", where, ": ", pinned.content.str(), " (expected: ", expected.str(), ")"));
  }
  return {where, file_name, pinned.content, pinned.last_modified_s.value_or(0), false};
}

solver::GitSource pin_named_git(const GitRef& ref, bool keep_git_dir, const LowerCallbacks& callbacks,
                                const Span& where) {
  GitRef wanted = ref;
  if (callbacks.lock != nullptr && ref.checksum.empty() && !is_commit_id(ref.ref))
    callbacks.lock->lock_git(wanted, where);
  wanted.fetch_by_commit |= wanted != ref;
  return explained(callbacks.lock, wanted != ref,
                   [&] { return pin_git_source(wanted, keep_git_dir, callbacks.pinner); });
}

solver::HttpSource pin_named_url(const std::string& url, const std::string& file_name, const std::string& checksum,
                                 const LowerCallbacks& callbacks, const Span& where) {
  Digest locked;
  if (callbacks.lock != nullptr && checksum.empty()) locked = callbacks.lock->lock_url(url, where);
  return explained(callbacks.lock, !locked.empty(), [&] {
    return pin_http_source(url, file_name, locked.empty() ? checksum : locked.str(), callbacks.pinner);
  });
}

}  // namespace cbuild::frontend
