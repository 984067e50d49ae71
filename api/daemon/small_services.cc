// SPDX-License-Identifier: Apache-2.0
// The health of the server, and traces of clients, which nobody here wants.
#include <grpcpp/grpcpp.h>

#include "api/daemon/state.h"
#include "api/proto/health.grpc.pb.h"
#include "api/proto/trace.grpc.pb.h"

namespace cbuild::api {
namespace {

namespace health = grpc::health::v1;
namespace trace = opentelemetry::proto::collector::trace::v1;

class HealthService final : public health::Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext*, const health::HealthCheckRequest*,
                     health::HealthCheckResponse* response) override {
    response->set_status(health::HealthCheckResponse::SERVING);
    return grpc::Status::OK;
  }
};

class TraceService final : public trace::TraceService::Service {
 public:
  grpc::Status Export(grpc::ServerContext*, const trace::ExportTraceServiceRequest*,
                      trace::ExportTraceServiceResponse*) override {
    return grpc::Status::OK;
  }
};

}  // namespace

std::unique_ptr<grpc::Service> make_health_service() { return std::make_unique<HealthService>(); }
std::unique_ptr<grpc::Service> make_trace_service() { return std::make_unique<TraceService>(); }

}  // namespace cbuild::api
