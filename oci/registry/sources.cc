// SPDX-License-Identifier: Apache-2.0
#include "oci/registry/sources.h"

#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::registry {
namespace {

constexpr std::int64_t kAbsence = 30'000'000'000;

/// Whether another place may do better. Anything else is this machine's or the user's.
bool is_of_the_place(const Error& error) {
  const ErrorCode code = error.code();
  return code == ErrorCode::network || code == ErrorCode::not_found || code == ErrorCode::denied ||
         code == ErrorCode::corrupt;
}

std::string place_text(const routes::Route& route) { return cat(route.name(), " (", route.file, ")"); }

/// Of an error's text the part that says why.
std::string reason_of(const Error& error, const std::string& doing) {
  std::string text = error.what();
  while (text.starts_with(doing)) text.erase(0, doing.size());
  return std::string(trim(text.substr(std::min(text.find_first_not_of(":, "), text.size()))));
}

}  // namespace

Sources::Sources(routes::Routes& routes, const Options& options) : routes_(routes), options_(options) {}

std::optional<std::string> Sources::absence(const routes::Route& route) {
  const std::lock_guard lock(mutex_);
  const auto it = absent_.find(route.host + route.root);
  if (it == absent_.end() || it->second.until_ns < sys::monotonic_ns()) return std::nullopt;
  return it->second.reason;
}

void Sources::note(const Source& source, const Error& error, const std::string& reason, const routes::Route& next) {
  {
    const std::lock_guard lock(mutex_);
    const std::string key = source.route.host + source.route.root;
    if (error.code() == ErrorCode::network) absent_[key] = {sys::monotonic_ns() + kAbsence, reason};
    if (error.code() == ErrorCode::not_found) return;
    if (error.code() != ErrorCode::corrupt && !told_.insert(cat(key, '\n', to_string(error.code()))).second) return;
  }
  if (options_.warn) options_.warn(cat(place_text(source.route), ": ", reason, "; asking ", next.name(), " instead"));
}

void Sources::ask(const Reference& reference, routes::Asking asking, const std::string& doing,
                  const std::function<void(const Source&)>& ask) {
  std::vector<routes::Route> places;
  try {
    places = routes_.reading(reference, asking);
  } catch (Error& error) {
    error.add_context(doing);
    throw;
  }
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const routes::Route& route = places[i];
    const bool last = i + 1 == places.size();
    const Source source{route, !last, route.file.empty() ? doing : cat(doing, " from ", place_text(route))};
    if (const auto reason = last ? std::nullopt : absence(route)) {
      failures.push_back(cat(place_text(route), ": ", *reason));
      continue;
    }
    try {
      return ask(source);
    } catch (const Error& error) {
      if (last && failures.empty()) throw;
      if (last) {
        Error all(error.code(), cat(error.what(), "; before that ", join(failures, "; ")));
        throw all.with_hint(error.hint());
      }
      if (!is_of_the_place(error)) throw;
      const std::string reason = reason_of(error, source.doing);
      note(source, error, reason, places[i + 1]);
      failures.push_back(cat(place_text(route), ": ", reason));
    }
  }
}

}  // namespace cbuild::oci::registry
