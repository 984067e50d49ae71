// SPDX-License-Identifier: Apache-2.0
#include "engine/source_lock.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace cbuild::engine {
namespace {

/// The digest or commit that the source gives now; empty if its place cannot be asked.
std::string present_or_empty(Services& services, const supply::LockedSource& source, const frontend::GitRef& git) {
  try {
    if (source.kind == supply::LockKind::git) return present_commit(services.sources, git).commit;
    return services.images.present(source.name).str();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled) throw;
    return {};
  }
}

}  // namespace

std::string place_of(const Span& where) {
  if (!where) return {};
  return cat(where.source->name(), ":", where.source->position(where.begin).line);
}

const supply::LockedSource& LockedSources::take(supply::LockKind kind, const std::string& name,
                                                const frontend::GitRef& git, const Span& where) {
  const supply::LockedSource* found = lock_.find(kind, name);
  if (found == nullptr)
    throw Error(ErrorCode::input, cat(name, " is not in ", file_)).with_hint("cbuild lock adds what is missing");
  if (std::none_of(uses_.begin(), uses_.end(), [&](const Use& use) { return use.source == found; }))
    uses_.push_back({found, git, where});
  return *found;
}

Digest LockedSources::lock_image(const std::string& name, const Span& where) {
  return *Digest::parse(take(supply::LockKind::image, name, {}, where).digest);
}

Digest LockedSources::lock_url(const std::string& url, const Span& where) {
  return *Digest::parse(take(supply::LockKind::url, supply::lock_name(url), {}, where).digest);
}

void LockedSources::lock_git(frontend::GitRef& ref, const Span& where) {
  const supply::LockedSource& locked = take(supply::LockKind::git, supply::lock_name(ref.remote, ref.ref), ref, where);
  ref.checksum = locked.digest;
  if (!locked.ref.empty()) ref.ref = locked.ref;
}

void LockedSources::explain(Error& error) const {
  error.add_context(cat("locked by ", file_));
  if (error.hint().empty()) error.with_hint("cbuild lock --check says what moved, cbuild lock --update takes it");
}

std::vector<Diagnostic> LockedSources::moved(Services& services) const {
  const bool all = services.request.sources.pull == PullPolicy::always;
  const bool images = all || services.remote.has_asked();
  std::vector<Diagnostic> out;
  for (const Use& use : uses_) {
    const supply::LockedSource& source = *use.source;
    // A file is its content: one that is not in the store is compared when it is fetched.
    const bool asked = source.kind == supply::LockKind::image ? images : all && source.kind == supply::LockKind::git;
    const std::string now = asked ? present_or_empty(services, source, use.git) : std::string();
    if (now.empty() || now == source.digest) continue;
    out.push_back({Severity::warning,
                   use.where,
                   cat(source.name, " moved: ", file_, " has ", source.digest, ", which is used; now it is ", now),
                   cat("cbuild lock --update=", source.name, " takes it"),
                   {}});
  }
  return out;
}

std::unique_ptr<LockedSources> open_lock(const InputSettings& settings, const BuildInputs& inputs) {
  if (inputs.lock)
    return std::make_unique<LockedSources>(supply::parse_lock_file(*inputs.lock, inputs.lock_name), inputs.lock_name);
  if (settings.lock_file && !settings.lock_file->empty())
    throw Error(ErrorCode::usage, cat("lock file ", *settings.lock_file, " does not exist"))
        .with_hint("cbuild lock makes it");
  return nullptr;
}

frontend::PinnedCommit present_commit(NetworkSources& sources, frontend::GitRef ref) {
  sources.redirect_git(ref);
  if (frontend::is_commit_id(ref.ref)) return {ref.ref, "", ""};
  return sources.pin_git(ref.remote, ref.ref);
}

}  // namespace cbuild::engine
