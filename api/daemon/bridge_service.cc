// SPDX-License-Identifier: Apache-2.0
// BuildKit's service LLBBridge, as a client uses it while its call Control.Solve is open. Solve only remembers what is
// wanted and gives it a name: the work is done when the result is given back, evaluated or looked into.
#include <grpcpp/grpcpp.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "api/daemon/capabilities.h"
#include "api/daemon/errors.h"
#include "api/daemon/looked_into.h"
#include "api/daemon/solve.h"
#include "api/daemon/state.h"
#include "api/proto/gateway.grpc.pb.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

namespace gateway = moby::buildkit::v1::frontend;
using grpc::ServerContext;

constexpr char kBuildHeader[] = "buildkit-controlapi-buildid";

std::string platform_text(const pb::Platform& platform) {
  if (platform.os().empty()) return {};
  const std::string text = cat(platform.os(), "/", platform.architecture());
  return platform.variant().empty() ? text : cat(text, "/", platform.variant());
}

class BridgeService final : public gateway::LLBBridge::Service {
 public:
  explicit BridgeService(DaemonState& state) : state_(state) {}

  grpc::Status Ping(ServerContext* context, const gateway::PingRequest*, gateway::PongResponse* response) override {
    return guarded([&] {
      build_of(*context);
      fill_pong(*response);
    });
  }

  grpc::Status Solve(ServerContext* context, const gateway::SolveRequest* request,
                     gateway::SolveResponse* response) override {
    return guarded([&] {
      const auto build = build_of(*context);
      gateway::Result& result = *response->mutable_result();
      if (request->frontend_opt().contains("requestid")) {
        for (const auto& [key, value] : answer_subrequest(state_, {*build, *request, session_of(*build, *context)}))
          (*result.mutable_metadata())[key] = value;
        result.mutable_ref();
        return;
      }
      const bool is_nothing = request->frontend().empty() && request->definition().def_size() == 0;
      if (is_nothing) return;
      const std::string id = build->add_result(*request);
      set_ref(id, *result.mutable_ref());
      if (request->evaluate()) make(*context, *build, id, {});
    });
  }

  grpc::Status Return(ServerContext* context, const gateway::ReturnRequest* request,
                      gateway::ReturnResponse*) override {
    return guarded([&] { build_of(*context)->give_back(*request); });
  }

  grpc::Status Evaluate(ServerContext* context, const gateway::EvaluateRequest* request,
                        gateway::EvaluateResponse*) override {
    return guarded([&] { linked_layout(state_, *build_of(*context), request->ref()); });
  }

  grpc::Status ReadFile(ServerContext* context, const gateway::ReadFileRequest* request,
                        gateway::ReadFileResponse* response) override {
    return guarded([&] {
      const ResultTree tree = look_into(*context, request->ref());
      const auto& range = request->range();
      response->set_data(tree.read(request->file_path(), range.offset(), range.length()));
    });
  }

  grpc::Status ReadDir(ServerContext* context, const gateway::ReadDirRequest* request,
                       gateway::ReadDirResponse* response) override {
    return guarded([&] {
      for (fsutil::types::Stat& entry :
           look_into(*context, request->ref()).list(request->dir_path(), request->include_pattern()))
        *response->add_entries() = std::move(entry);
    });
  }

  grpc::Status StatFile(ServerContext* context, const gateway::StatFileRequest* request,
                        gateway::StatFileResponse* response) override {
    return guarded([&] { *response->mutable_stat() = look_into(*context, request->ref()).stat(request->path()); });
  }

  grpc::Status Warn(ServerContext* context, const gateway::WarnRequest* request, gateway::WarnResponse*) override {
    return guarded([&] { build_of(*context)->status().on_event(RunNote{Severity::warning, request->short_()}); });
  }

  grpc::Status Inputs(ServerContext* context, const gateway::InputsRequest*,
                      gateway::InputsResponse* response) override {
    return guarded([&] { *response->mutable_definitions() = build_of(*context)->request().frontend_inputs(); });
  }

  grpc::Status ResolveImageConfig(ServerContext* context, const gateway::ResolveImageConfigRequest* request,
                                  gateway::ResolveImageConfigResponse* response) override {
    return guarded([&] {
      const auto build = build_of(*context);
      const ImageAnswer found = resolve_image(state_, {*build, nothing_, session_of(*build, *context)}, request->ref(),
                                              platform_text(request->platform()), request->resolve_mode() == "pull");
      response->set_digest(found.digest);
      response->set_config(found.config);
      response->set_ref(request->ref());
    });
  }

  grpc::Status ResolveSourceMeta(ServerContext* context, const gateway::ResolveSourceMetaRequest* request,
                                 gateway::ResolveSourceMetaResponse* response) override {
    return guarded([&] {
      constexpr std::string_view kImage = "docker-image://";
      const std::string& name = request->source().identifier();
      *response->mutable_source() = request->source();
      if (!name.starts_with(kImage)) return;
      const auto build = build_of(*context);
      const ImageAnswer found =
          resolve_image(state_, {*build, nothing_, session_of(*build, *context)}, name.substr(kImage.size()),
                        platform_text(request->platform()), request->resolve_mode() == "pull");
      response->mutable_image()->set_digest(found.digest);
      if (!request->image().no_config()) response->mutable_image()->set_config(found.config);
    });
  }

 private:
  template <typename Call>
  static grpc::Status guarded(const Call& call) {
    try {
      call();
      return grpc::Status::OK;
    } catch (const FailedResult& failed) {
      return to_grpc(to_rpc(failed.failure));
    } catch (const std::exception& error) {
      return to_grpc(error);
    }
  }

  std::shared_ptr<Build> build_of(const ServerContext& context) {
    const auto found = context.client_metadata().find(kBuildHeader);
    if (found == context.client_metadata().end())
      throw Error(ErrorCode::usage, cat("the header ", kBuildHeader, " is missing"));
    return state_.builds.wait({found->second.data(), found->second.size()}, [&] { return context.IsCancelled(); });
  }

  std::shared_ptr<ClientSession> session_of(const Build& build, const ServerContext& context) {
    const std::string& id = build.request().session();
    return id.empty() ? nullptr : state_.sessions.wait(id, [&] { return context.IsCancelled(); });
  }

  /// Clients hand the definition on as the input of another frontend.
  static void set_ref(const std::string& id, gateway::Ref& out) {
    out.set_id(id);
    pb::Op source;
    source.mutable_source()->set_identifier(cat("cbuild://", id));
    const std::string bytes = source.SerializeAsString();
    pb::Op end;
    end.add_inputs()->set_digest(sha256(bytes).str());
    *out.mutable_def()->add_def() = bytes;
    (*out.mutable_def()->mutable_metadata())[end.inputs(0).digest()];  // without any it counts as none
    *out.mutable_def()->add_def() = end.SerializeAsString();
  }

  void make(const ServerContext& context, Build& build, const std::string& id, const std::string& tree) {
    const Build::Asked asked = build.result(id);
    if (!asked) throw Error(ErrorCode::usage, cat("no such result: ", id));
    evaluate(state_, {build, *asked, session_of(build, context)}, tree);
  }

  ResultTree look_into(const ServerContext& context, const std::string& id) {
    const auto build = build_of(context);
    return build->tree(id, state_.workspace.path(), [&](const std::string& path) { make(context, *build, id, path); });
  }

  DaemonState& state_;
  const gateway::SolveRequest nothing_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_bridge_service(DaemonState& state) {
  return std::make_unique<BridgeService>(state);
}

}  // namespace cbuild::api
