// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/store_usage.h"

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/sys.h"
#include "base/text.h"
#include "cache/gc/gc.h"
#include "cache/store.h"

namespace cbuild::api {
namespace {

namespace v1 = moby::buildkit::v1;
using cache::Usage;

void set_usage_time(google::protobuf::Timestamp& out, std::int64_t ns) {
  out.set_seconds(ns / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

std::string record_type(const Usage::Item& item) {
  if (item.kind == "cachemount") return "exec.cachemount";
  return item.kind == "scan" ? "source.local" : item.kind == "layer" || item.kind == "blob" ? "regular" : "internal";
}

v1::UsageRecord to_record(const Usage::Item& item) {
  v1::UsageRecord record;
  record.set_id(item.id);
  record.set_mutable_(item.is_mutable());
  record.set_in_use(item.in_use);
  record.set_size(static_cast<std::int64_t>(item.bytes));
  set_usage_time(*record.mutable_created_at(), item.created_ns);
  if (item.last_used_ns != 0) set_usage_time(*record.mutable_last_used_at(), item.last_used_ns);
  record.set_usage_count(item.last_used_ns == 0 ? 0 : 1);
  record.set_description(item.description);
  record.set_record_type(record_type(item));
  record.set_shared(item.shared);
  if (!item.parent.empty()) record.add_parents(item.parent);
  return record;
}

using Condition = std::function<bool(const Usage::Item&)>;

/// "KEY==VALUE", "KEY!=VALUE", "KEY" alone for what is true.
Condition to_condition(const std::string& filter) {
  const std::size_t at = filter.find_first_of("=!");
  const std::string key = filter.substr(0, at);
  const bool negated = at != std::string::npos && filter[at] == '!';
  const std::string value = at == std::string::npos
                                ? "true"
                                : filter.substr(filter.find_first_not_of("=!~", at) == std::string::npos
                                                    ? filter.size()
                                                    : filter.find_first_not_of("=!~", at));
  std::function<std::string(const Usage::Item&)> field;
  if (key == "id") field = [](const Usage::Item& item) { return item.id; };
  if (key == "type") field = [](const Usage::Item& item) { return record_type(item); };
  if (key == "description") field = [](const Usage::Item& item) { return item.description; };
  if (key == "parents") field = [](const Usage::Item& item) { return item.parent; };
  const auto truth = [&](const char* name, bool (*of)(const Usage::Item&)) {
    if (key == name) field = [of](const Usage::Item& item) { return std::string(of(item) ? "true" : "false"); };
  };
  truth("inuse", [](const Usage::Item& item) { return item.in_use; });
  truth("mutable", [](const Usage::Item& item) { return item.is_mutable(); });
  truth("immutable", [](const Usage::Item& item) { return !item.is_mutable(); });
  truth("shared", [](const Usage::Item& item) { return item.shared; });
  truth("private", [](const Usage::Item& item) { return !item.shared; });
  if (!field) throw Error(ErrorCode::usage, cat("unknown filter ", filter));
  return [field, value, negated](const Usage::Item& item) { return (field(item) == value) != negated; };
}

/// Each filter is a list of conditions that all hold; one of the filters has to.
Condition any_of_filters(const google::protobuf::RepeatedPtrField<std::string>& filters) {
  std::vector<std::vector<Condition>> all;
  for (const std::string& filter : filters) {
    if (filter.empty()) continue;
    auto& conditions = all.emplace_back();
    for (const auto& part : split(filter, ',')) conditions.push_back(to_condition(std::string(part)));
  }
  return [all](const Usage::Item& item) {
    if (all.empty()) return true;
    for (const auto& conditions : all) {
      bool holds = true;
      for (const Condition& condition : conditions) holds = holds && condition(item);
      if (holds) return true;
    }
    return false;
  };
}

}  // namespace

void list_usage(const engine::Session& session, const v1::DiskUsageRequest& request, v1::DiskUsageResponse& response) {
  const Condition wanted = any_of_filters(request.filter());
  cache::Store store(engine::store_options(session));
  const std::int64_t newest = sys::now_ns() - request.age_limit();
  for (const Usage::Item& item : cache::disk_usage(store).items)
    if (wanted(item) && (request.age_limit() == 0 || item.last_used_ns < newest))
      *response.add_record() = to_record(item);
}

std::vector<v1::UsageRecord> prune_store(const engine::Session& session, const v1::PruneRequest& request) {
  cache::PruneOptions options;
  options.fetchable = request.all();
  options.wanted = any_of_filters(request.filter());
  if (request.keep_duration() > 0) options.unused_for_ns = request.keep_duration();
  const auto bytes = [](std::int64_t value, std::optional<std::uint64_t>& out) {
    if (value > 0) out = static_cast<std::uint64_t>(value);
  };
  bytes(request.max_used_space(), options.max_used_bytes);
  bytes(request.min_free_space(), options.min_free_bytes);
  bytes(request.reserved_space(), options.reserved_bytes);
  cache::Store store(engine::store_options(session, true));
  std::vector<v1::UsageRecord> gone;
  for (const Usage::Item& item : cache::prune(store, options)) gone.push_back(to_record(item));
  return gone;
}

}  // namespace cbuild::api
