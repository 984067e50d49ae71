// SPDX-License-Identifier: Apache-2.0
// A whole daemon on a unix socket in this process, and a client that speaks the API to it: its session is the fake
// client of api/session behind Control.Session. Nothing needs a sandbox.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <thread>

#include "api/daemon/server.h"
#include "api/proto/control.grpc.pb.h"
#include "api/proto/gateway.grpc.pb.h"
#include "api/proto/status.pb.h"
#include "api/session/fake_client.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

using namespace test;
namespace v1 = moby::buildkit::v1;
namespace gateway = moby::buildkit::v1::frontend;

std::vector<engine::Session> sessions_in(const std::string& root) {
  std::vector<engine::Session> sessions(2);
  for (engine::Session& session : sessions) {
    session.root = root;
    session.user_xattr = true;
  }
  return sessions;
}

/// The daemon, until the object dies.
struct Daemon {
  TempDir temp = TempDir::in_tmp("daemon-test-");
  std::string address = cat("unix://", temp.path(), "/d.sock");
  CancelSource stop;
  std::thread thread;

  Daemon() {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does
    sys::mkdir_all(temp.fd(), "store", 0700);
    auto settings = std::make_shared<ServerSettings>();
    settings->listeners.push_back(listen_on(address));
    thread = std::thread([this, settings] {
      EngineSlots slots(sessions_in(temp.path() + "/store"));
      serve(slots, *settings, stop);
    });
  }
  ~Daemon() {
    stop.cancel();
    thread.join();
  }
  std::shared_ptr<grpc::Channel> channel() const {
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }
};

/// False: the other end is gone.
bool put(int socket, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// One client with its session; calls may be made in any order.
class Client {
 public:
  Client(const Daemon& daemon, std::string session, Behaviour behaviour)
      : id_(std::move(session)),
        channel_(daemon.channel()),
        control_(v1::Control::NewStub(channel_)),
        bridge_(gateway::LLBBridge::NewStub(channel_)),
        fake_(std::move(behaviour), FakeClient::OnlyLine{}) {}
  ~Client() { leave(); }

  void open_session() {
    session_.AddMetadata("x-docker-expose-session-uuid", id_);
    session_.AddMetadata("x-docker-expose-session-sharedkey", "shared");
    for (const std::string& method : fake_.methods())
      session_.AddMetadata("x-docker-expose-session-grpc-method", method);
    stream_ = control_->Session(&session_);
    out_ = std::thread([this] {
      v1::BytesMessage message;
      std::string buffer(1u << 16, '\0');
      for (ssize_t got; (got = ::read(fake_.line(), buffer.data(), buffer.size())) > 0;) {
        message.set_data(buffer.substr(0, static_cast<std::size_t>(got)));
        if (!stream_->Write(message)) return;
      }
    });
    in_ = std::thread([this] {
      v1::BytesMessage message;
      while (stream_->Read(&message) && put(fake_.line(), message.data())) continue;
      fake_.vanish();
    });
  }
  /// Gives up all its calls.
  void leave() {
    if (!stream_) return;
    session_.TryCancel();
    fake_.vanish();
    out_.join();
    in_.join();
    stream_->Finish();
    stream_.reset();
  }

  v1::SolveRequest request(const std::string& ref) const {
    v1::SolveRequest request;
    request.set_ref(ref);
    request.set_session(id_);
    return request;
  }
  grpc::Status solve(const v1::SolveRequest& request, v1::SolveResponse& response) {
    grpc::ClientContext context;
    return control_->Solve(&context, request, &response);
  }
  /// All messages until the build has ended.
  std::vector<v1::StatusResponse> status(const std::string& ref) {
    grpc::ClientContext context;
    v1::StatusRequest wanted;
    wanted.set_ref(ref);
    const auto reader = control_->Status(&context, wanted);
    std::vector<v1::StatusResponse> all;
    for (v1::StatusResponse message; reader->Read(&message);) all.push_back(message);
    CHECK(reader->Finish().ok());
    return all;
  }
  v1::Control::Stub& control() { return *control_; }
  gateway::LLBBridge::Stub& bridge() { return *bridge_; }

 private:
  const std::string id_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Control::Stub> control_;
  std::unique_ptr<gateway::LLBBridge::Stub> bridge_;
  FakeClient fake_;
  grpc::ClientContext session_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::BytesMessage, v1::BytesMessage>> stream_;
  std::thread out_, in_;
};

/// A directory that is the context and has the Dockerfile, and the archives that came.
struct Project {
  FakeTree tree;
  std::vector<std::vector<std::string>> asked;  ///< by sync: the files that were sent
  std::string archive;

  explicit Project(const std::string& dockerfile) {
    tree.add_file("Dockerfile", dockerfile);
    tree.add_file("file", "content\n");
  }
  Behaviour behaviour() {
    Behaviour behaviour;
    behaviour.sync = [this](const Metadata&, Stream<Packet>& stream) {
      const grpc::Status status = tree.send(stream);
      asked.push_back(tree.asked);
      return status;
    };
    behaviour.send = [this](const Metadata&, Stream<Bytes>& stream) {
      for (Bytes message; stream.Read(&message);) archive += message.data();
      return grpc::Status::OK;
    };
    return behaviour;
  }
};

void add_metadata(grpc::ClientContext& context, const std::string& ref) {
  context.AddMetadata("buildkit-controlapi-buildid", ref);
}

}  // namespace

TEST_CASE("a Dockerfile is built from a client's files, and its archive comes back") {
  Daemon daemon;
  Project project("FROM scratch\nCOPY file /file\n");
  Client client(daemon, "s1", project.behaviour());
  client.open_session();
  v1::SolveRequest request = client.request("r1");
  request.set_frontend("dockerfile.v0");
  request.add_exporters()->set_type("tar");
  v1::SolveResponse response;
  const grpc::Status status = client.solve(request, response);
  REQUIRE_MESSAGE(status.ok(), status.error_message());
  CHECK(project.archive.find("content\n") != std::string::npos);

  bool copied = false;
  for (const v1::StatusResponse& message : client.status("r1"))  // late
    for (const v1::Vertex& vertex : message.vertexes())
      copied = copied || vertex.name().find("COPY file") != std::string::npos;
  CHECK(copied);

  project.asked.clear();
  request.set_ref("r2");
  REQUIRE(client.solve(request, response).ok());
  REQUIRE_FALSE(project.asked.empty());
  CHECK(project.asked.back().empty());  // the context: nothing has changed
}

TEST_CASE("a client solves by the bridge, in whatever order its calls come") {
  Daemon daemon;
  Project project("FROM scratch\nCOPY file /file\n");
  Client client(daemon, "s1", project.behaviour());
  std::vector<v1::StatusResponse> told;
  std::thread status([&] { told = client.status("r1"); });
  std::thread pinged([&] {
    grpc::ClientContext context;
    add_metadata(context, "r1");
    gateway::PongResponse pong;
    CHECK(client.bridge().Ping(&context, {}, &pong).ok());
    CHECK(pong.frontend_api_caps_size() > 10);
    CHECK(pong.workers_size() == 1);
  });
  v1::SolveResponse response;
  grpc::Status ended;
  std::thread solve([&] { ended = client.solve(client.request("r1"), response); });
  client.open_session();
  pinged.join();

  gateway::SolveRequest wanted;
  wanted.set_frontend("dockerfile.v0");
  gateway::SolveResponse solved;
  grpc::ClientContext asked, read, missing, given;
  for (grpc::ClientContext* context : {&asked, &read, &missing, &given}) add_metadata(*context, "r1");
  REQUIRE(client.bridge().Solve(&asked, wanted, &solved).ok());
  const gateway::Ref& ref = solved.result().ref();
  CHECK(ref.def().def_size() == 2);
  CHECK(ref.def().metadata_size() == 1);

  gateway::ReadFileRequest file;
  file.set_ref(ref.id());
  file.set_file_path("/file");
  gateway::ReadFileResponse content;
  REQUIRE(client.bridge().ReadFile(&read, file, &content).ok());
  CHECK(content.data() == "content\n");
  gateway::StatFileRequest stat;
  stat.set_ref(ref.id());
  stat.set_path("none");
  gateway::StatFileResponse found;
  CHECK(client.bridge().StatFile(&missing, stat, &found).error_code() == grpc::StatusCode::NOT_FOUND);

  gateway::ReturnRequest returned;
  *returned.mutable_result()->mutable_ref() = ref;
  gateway::ReturnResponse thanks;
  CHECK(client.bridge().Return(&given, returned, &thanks).ok());
  solve.join();
  status.join();
  CHECK_MESSAGE(ended.ok(), ended.error_message());
  CHECK_FALSE(told.empty());
}

TEST_CASE("a mistake in the Dockerfile is told with its place") {
  Daemon daemon;
  Project project("FROM scratch\nCOPPY file /file\n");
  Client client(daemon, "s1", project.behaviour());
  client.open_session();
  v1::SolveRequest request = client.request("r1");
  request.set_frontend("dockerfile.v0");
  v1::SolveResponse response;
  const grpc::Status status = client.solve(request, response);
  CHECK(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message().find("COPPY") != std::string::npos);
  google::rpc::Status details;
  REQUIRE(details.ParseFromString(status.error_details()));
  REQUIRE(details.details_size() == 1);
  CHECK(details.details(0).type_url() == "github.com/moby/buildkit/errdefs.Source+json");
  CHECK(details.details(0).value().find("\"line\":2") != std::string::npos);
}

TEST_CASE("a question about a Dockerfile is answered without a build") {
  Daemon daemon;
  Project project("from scratch\nCOPY file /file\n");
  Client client(daemon, "s1", project.behaviour());
  client.open_session();
  v1::SolveResponse response;
  std::thread solve([&] { client.solve(client.request("r1"), response); });
  gateway::SolveRequest wanted;
  wanted.set_frontend("dockerfile.v0");
  (*wanted.mutable_frontend_opt())["requestid"] = "frontend.lint";
  gateway::SolveResponse answer;
  grpc::ClientContext asked, given;
  add_metadata(asked, "r1");
  add_metadata(given, "r1");
  REQUIRE(client.bridge().Solve(&asked, wanted, &answer).ok());
  CHECK(answer.result().metadata().at("result.json").find("ConsistentInstructionCasing") != std::string::npos);
  CHECK(answer.result().metadata().at("result.statuscode") == "1");
  gateway::ReturnResponse thanks;
  CHECK(client.bridge().Return(&given, {}, &thanks).ok());
  solve.join();
}

TEST_CASE("nothing of this machine is read, and no right given, on a client's word") {
  Daemon daemon;
  Project project("FROM scratch\nCOPY --from=x etc/hostname /\n");
  Client client(daemon, "s1", project.behaviour());
  client.open_session();
  v1::SolveResponse response;
  const auto refused = [&](const char* ref, const char* key, const char* value) {
    v1::SolveRequest request = client.request(ref);
    request.set_frontend("dockerfile.v0");
    (*request.mutable_frontend_attrs())[key] = value;
    return client.solve(request, response);
  };
  CHECK(refused("r1", "context:x", "/").error_message().find("unsupported context source /") != std::string::npos);
  CHECK(refused("r2", "context", "/etc").error_message().find("unsupported context /etc") != std::string::npos);
  v1::SolveRequest request = client.request("r3");
  request.set_frontend("dockerfile.v0");
  request.add_entitlements("security.insecure");
  CHECK(client.solve(request, response).error_code() == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("a client that goes away ends its build") {
  Daemon daemon;
  Project project("FROM scratch\nCOPY file /file\n");
  Behaviour behaviour = project.behaviour();
  std::promise<void> reached;
  behaviour.sync = [&](const Metadata&, Stream<Packet>& stream) {
    reached.set_value();
    for (Packet packet; stream.Read(&packet);) continue;
    return grpc::Status::CANCELLED;
  };
  auto client = std::make_unique<Client>(daemon, "s1", std::move(behaviour));
  client->open_session();
  grpc::ClientContext context;
  grpc::Status ended;
  v1::SolveResponse response;
  std::thread solve([&] {
    v1::SolveRequest request = client->request("r1");
    request.set_frontend("dockerfile.v0");
    ended = client->control().Solve(&context, request, &response);
  });
  reached.get_future().wait();
  client->leave();  // its call Solve stays open
  solve.join();
  CHECK_FALSE(ended.ok());
  Client other(daemon, "s2", Behaviour{});
  v1::ListWorkersResponse workers;
  grpc::ClientContext list;
  CHECK(other.control().ListWorkers(&list, {}, &workers).ok());
  CHECK(other.status("r1").size() < 100);  // it has ended
}

TEST_CASE("the store is listed and pruned, and unknown filters are refused") {
  Daemon daemon;
  Project project("FROM scratch\nCOPY file /file\n");
  Client client(daemon, "s1", project.behaviour());
  client.open_session();
  v1::SolveRequest request = client.request("r1");
  request.set_frontend("dockerfile.v0");
  v1::SolveResponse response;
  REQUIRE(client.solve(request, response).ok());
  v1::DiskUsageRequest wanted;
  v1::DiskUsageResponse usage;
  grpc::ClientContext first, second, third, fourth;
  REQUIRE(client.control().DiskUsage(&first, wanted, &usage).ok());
  CHECK(usage.record_size() > 0);
  wanted.add_filter("nothing==x");
  CHECK(client.control().DiskUsage(&second, wanted, &usage).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
  const auto gone = client.control().Prune(&third, {});
  int count = 0;
  for (v1::UsageRecord record; gone->Read(&record);) ++count;
  CHECK(gone->Finish().ok());
  CHECK(count > 0);
  v1::BuildHistoryRequest past;
  past.set_early_exit(true);
  const auto history = client.control().ListenBuildHistory(&fourth, past);
  std::vector<v1::BuildHistoryEvent> events;
  for (v1::BuildHistoryEvent event; history->Read(&event);) events.push_back(event);
  CHECK(history->Finish().ok());
  REQUIRE(events.size() == 1);
  CHECK(events[0].type() == v1::COMPLETE);
}

}  // namespace cbuild::api
