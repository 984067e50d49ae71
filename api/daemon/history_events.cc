// SPDX-License-Identifier: Apache-2.0
#include "api/daemon/history_events.h"

#include "api/proto/status.pb.h"
#include "base/error.h"
#include "base/text.h"
#include "cache/build_history.h"
#include "cache/store.h"
#include "engine/build_entry.h"

namespace cbuild::api {
namespace {

namespace v1 = moby::buildkit::v1;

constexpr unsigned kMostListed = 1000;

void set_history_time(google::protobuf::Timestamp& out, std::int64_t ns) {
  out.set_seconds(ns / 1'000'000'000);
  out.set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
}

v1::BuildHistoryEvent past_event(const engine::BuildEntry& entry) {
  v1::BuildHistoryEvent event;
  event.set_type(v1::COMPLETE);
  v1::BuildHistoryRecord& record = *event.mutable_record();
  record.set_ref(entry.id);
  record.set_frontend("dockerfile.v0");
  auto& attributes = *record.mutable_frontend_attrs();
  if (!entry.dockerfile.empty()) attributes["filename"] = entry.dockerfile;
  if (!entry.target.empty()) attributes["target"] = entry.target;
  if (!entry.context.empty()) attributes["vcs:localdir:context"] = entry.context;
  set_history_time(*record.mutable_created_at(), entry.started_ns);
  set_history_time(*record.mutable_completed_at(), entry.finished_ns);
  if (!entry.image.empty()) (*record.mutable_exporter_response())["containerimage.digest"] = entry.image;
  record.set_num_total_steps(static_cast<int>(entry.steps_total));
  record.set_num_cached_steps(static_cast<int>(entry.steps_cached));
  record.set_num_completed_steps(static_cast<int>(entry.steps_total));
  if (entry.status != "ok") {
    record.mutable_error()->set_code(entry.status == "cancelled" ? 1 : 2);
    record.mutable_error()->set_message(entry.error.empty() ? entry.status : entry.error);
  }
  return event;
}

}  // namespace

std::vector<v1::BuildHistoryEvent> history_events(DaemonState& state, const v1::BuildHistoryRequest& request) {
  std::vector<v1::BuildHistoryEvent> events;
  if (!request.active_only()) {
    cache::Store store(engine::store_options(state.slots.any()));
    const unsigned limit = request.limit() > 0 ? static_cast<unsigned>(request.limit()) : kMostListed;
    for (const auto& summary : store.builds(limit)) {
      const engine::BuildEntry entry = engine::from_summary(summary);
      if (request.ref().empty() || request.ref() == entry.id) events.push_back(past_event(entry));
    }
  }
  for (const std::string& ref : state.builds.running()) {
    if (!request.ref().empty() && request.ref() != ref) continue;
    v1::BuildHistoryEvent& event = events.emplace_back();
    event.set_type(v1::STARTED);
    event.mutable_record()->set_ref(ref);
    event.mutable_record()->set_frontend("dockerfile.v0");
  }
  return events;
}

void update_history(DaemonState& state, const v1::UpdateBuildHistoryRequest& request) {
  cache::Store store(engine::store_options(state.slots.any()));
  if (!cache::is_in_history(store, request.ref()))
    throw Error(ErrorCode::not_found, cat("no build ", request.ref(), " in the history"));
  if (request.delete_()) cache::remove_builds(store, {request.ref()});
}

}  // namespace cbuild::api
