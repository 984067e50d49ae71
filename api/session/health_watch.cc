// SPDX-License-Identifier: Apache-2.0
#include "api/session/health_watch.h"

#include "api/proto/health.grpc.pb.h"
#include "api/session/client_call.h"
#include "api/session/session_impl.h"
#include "base/process/threads.h"

namespace cbuild::api {
namespace {

constexpr int kMaxFailures = 2;  // in a row: a busy line may delay one answer

}  // namespace

HealthWatch::HealthWatch(SessionChannel& channel) : channel_(channel) {
  if (channel.settings.health_interval.count() > 0 && channel.offers(method::kHealth))
    thread_ = start_thread([this] { run(); });
}

HealthWatch::~HealthWatch() {
  channel_.tunnel.close();
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
}

void HealthWatch::run() {
  for (int failures = 0; pause();) {
    failures = ask() ? 0 : failures + 1;
    if (failures < kMaxFailures) continue;
    channel_.tunnel.close();
    return;
  }
}

/// Any answer of the client itself is one, whatever it says.
bool HealthWatch::ask() {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + channel_.settings.health_timeout);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = grpc::health::v1::Health::NewStub(channel_.channel)->Check(&context, {}, &response);
  return status.error_code() != grpc::UNAVAILABLE && status.error_code() != grpc::DEADLINE_EXCEEDED;
}

bool HealthWatch::pause() {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, channel_.settings.health_interval, [this] { return over_; });
}

}  // namespace cbuild::api
