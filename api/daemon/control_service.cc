// SPDX-License-Identifier: Apache-2.0
// BuildKit's service Control. A client opens Session, Solve and Status at the same time and in any order; each waits
// for the others. Solve stays open while the client asks for what it wants with the service LLBBridge, and does the
// work when the client has given the result back.
#include <grpcpp/grpcpp.h>

#include <thread>

#include "api/daemon/capabilities.h"
#include "api/daemon/client_watch.h"
#include "api/daemon/errors.h"
#include "api/daemon/history_events.h"
#include "api/daemon/solve.h"
#include "api/daemon/state.h"
#include "api/daemon/store_usage.h"
#include "api/proto/control.grpc.pb.h"
#include "api/proto/status.pb.h"
#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

namespace v1 = moby::buildkit::v1;
using grpc::ServerContext;
using SessionChannel = grpc::ServerReaderWriter<v1::BytesMessage, v1::BytesMessage>;

constexpr auto kStatusTick = std::chrono::milliseconds(250);

SessionHeader header_of(const ServerContext& context) {
  std::multimap<std::string, std::string> metadata;
  for (const auto& [key, value] : context.client_metadata())
    metadata.emplace(std::string(key.data(), key.size()), std::string(value.data(), value.size()));
  return SessionHeader::parse(metadata);
}

SessionStream stream_of(ServerContext& context, SessionChannel& channel) {
  SessionStream stream;
  stream.read = [&channel](std::string& data) {
    v1::BytesMessage message;
    if (!channel.Read(&message)) return false;
    data = std::move(*message.mutable_data());
    return true;
  };
  stream.write = [&channel](std::string_view data) {
    v1::BytesMessage message;
    message.set_data(std::string(data));
    return channel.Write(message);
  };
  stream.stop = [&context] { context.TryCancel(); };
  return stream;
}

/// What the client wants built: with the call itself, or by giving a result back. Null for nothing.
Build::Asked what_is_wanted(Build& build, const ServerContext& context, google::rpc::Status& refused) {
  const v1::SolveRequest& request = build.request();
  if (!request.frontend().empty() || request.definition().def_size() > 0) {
    v1::frontend::SolveRequest asked;
    *asked.mutable_definition() = request.definition();
    asked.set_frontend(request.frontend());
    *asked.mutable_frontend_opt() = request.frontend_attrs();
    *asked.mutable_frontend_inputs() = request.frontend_inputs();
    return build.result(build.add_result(std::move(asked)));
  }
  const v1::frontend::ReturnRequest returned = build.wait_returned([&] { return context.IsCancelled(); });
  if (returned.error().code() != 0) {
    refused = returned.error();
    return nullptr;
  }
  const v1::frontend::Result& result = returned.result();
  std::string id = result.ref().id();
  if (result.has_refs() && !result.refs().refs().empty()) id = result.refs().refs().begin()->second.id();
  if (!result.ref_deprecated().empty()) id = result.ref_deprecated();
  if (id.empty()) return nullptr;
  Build::Asked asked = build.result(id);
  if (!asked) throw Error(ErrorCode::usage, cat("no such result: ", id));
  return asked;
}

class ControlService final : public v1::Control::Service {
 public:
  explicit ControlService(DaemonState& state) : state_(state) {}

  grpc::Status Solve(ServerContext* context, const v1::SolveRequest* request, v1::SolveResponse* response) override {
    return guarded([&] { return run(*context, *request, *response); });
  }

  grpc::Status Status(ServerContext* context, const v1::StatusRequest* request,
                      grpc::ServerWriter<v1::StatusResponse>* writer) override {
    return guarded([&] {
      const auto build = state_.builds.wait(request->ref(), [&] { return context->IsCancelled(); });
      std::size_t told = 0;
      for (bool ended = false; !ended && !context->IsCancelled();) {
        for (const StatusLog::Message& message : build->status().read(told, kStatusTick, ended)) {
          if (!writer->Write(*message)) return grpc::Status::OK;
          ++told;
        }
      }
      return grpc::Status::OK;
    });
  }

  grpc::Status Session(ServerContext* context, SessionChannel* channel) override {
    return guarded([&] {
      SessionHeader header = header_of(*context);
      channel->SendInitialMetadata();  // before the session writes
      const auto session = std::make_shared<ClientSession>(std::move(header), stream_of(*context, *channel));
      const std::string id = session->header().id;
      state_.sessions.add(session);
      session->wait_closed();
      state_.sessions.remove(id);
      return grpc::Status::OK;
    });
  }

  grpc::Status ListWorkers(ServerContext*, const v1::ListWorkersRequest*, v1::ListWorkersResponse* response) override {
    fill_worker(*response->add_record());
    return grpc::Status::OK;
  }

  grpc::Status Info(ServerContext*, const v1::InfoRequest*, v1::InfoResponse* response) override {
    fill_version(*response->mutable_buildkit_version());
    return grpc::Status::OK;
  }

  grpc::Status DiskUsage(ServerContext*, const v1::DiskUsageRequest* request,
                         v1::DiskUsageResponse* response) override {
    return guarded([&] {
      list_usage(state_.slots.any(), *request, *response);
      return grpc::Status::OK;
    });
  }

  grpc::Status Prune(ServerContext*, const v1::PruneRequest* request,
                     grpc::ServerWriter<v1::UsageRecord>* writer) override {
    return guarded([&] {
      remove_client_copies(state_.root(), request->keep_duration());
      for (const v1::UsageRecord& record : prune_store(state_.slots.any(), *request)) writer->Write(record);
      return grpc::Status::OK;
    });
  }

  grpc::Status ListenBuildHistory(ServerContext* context, const v1::BuildHistoryRequest* request,
                                  grpc::ServerWriter<v1::BuildHistoryEvent>* writer) override {
    return guarded([&] {
      for (const v1::BuildHistoryEvent& event : history_events(state_, *request)) writer->Write(event);
      while (!request->early_exit() && !context->IsCancelled()) std::this_thread::sleep_for(kStatusTick);
      return grpc::Status::OK;
    });
  }

  grpc::Status UpdateBuildHistory(ServerContext*, const v1::UpdateBuildHistoryRequest* request,
                                  v1::UpdateBuildHistoryResponse*) override {
    return guarded([&] {
      update_history(state_, *request);
      return grpc::Status::OK;
    });
  }

 private:
  template <typename Call>
  static grpc::Status guarded(const Call& call) {
    try {
      return call();
    } catch (const FailedResult& failed) {
      return to_grpc(to_rpc(failed.failure));
    } catch (const std::exception& error) {
      return to_grpc(error);
    }
  }

  grpc::Status run(ServerContext& context, const v1::SolveRequest& request, v1::SolveResponse& response) {
    const auto build = state_.builds.begin(request);
    const ScopeExit end([&] { state_.builds.end(build); });
    std::shared_ptr<ClientSession> session;
    if (!request.session().empty())
      session = state_.sessions.wait(request.session(), [&] { return context.IsCancelled(); });
    google::rpc::Status refused;
    const Build::Asked asked = what_is_wanted(*build, context, refused);
    if (refused.code() != 0) return to_grpc(refused);
    if (!asked) return grpc::Status::OK;
    const ClientWatch watch([&] { return context.IsCancelled(); }, build->cancel());
    const std::map<std::string, std::string> told = solve(state_, {*build, *asked, session});
    response.mutable_exporter_response()->insert(told.begin(), told.end());
    return grpc::Status::OK;
  }

  DaemonState& state_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_control_service(DaemonState& state) {
  return std::make_unique<ControlService>(state);
}

}  // namespace cbuild::api
