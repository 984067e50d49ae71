// SPDX-License-Identifier: Apache-2.0
// Syncs over gRPC with a client in this process.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <atomic>
#include <thread>

#include "api/session/fake_client.h"
#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_wait.h"

namespace cbuild::api {
namespace {

using namespace test;

class SyncTest {
 public:
  TempDir directory = TempDir::in_tmp("sync-test-");
  SyncedDirectory destination = SyncedDirectory::try_lock(directory.path() + "/copy").value();
  FakeTree tree;
  Metadata metadata;  ///< of the last call

  Behaviour behaviour() {
    Behaviour result;
    result.sync = [this](const Metadata& from, Stream<Packet>& stream) {
      metadata = from;
      return tree.send(stream);
    };
    return result;
  }
  std::string read(const std::string& path) { return sys::read_file_at(destination.tree_fd(), path, 64u << 20); }
};

/// The error of a sync with a client that does so.
Error sync_failure(SyncedDirectory& destination,
                   std::function<grpc::Status(const Metadata&, Stream<Packet>&)> misbehave) {
  Behaviour behaviour;
  behaviour.sync = std::move(misbehave);
  FakeClient client(std::move(behaviour));
  try {
    const Awaiting wait("the end of the sync");
    client.session().sync_directory({"context", {}, {}, {}}, destination, nullptr);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::internal, "no error"};
}

bool says(const Error& error, std::string_view text) {
  return std::string_view(error.what()).find(text) != std::string_view::npos;
}

}  // namespace

TEST_CASE_FIXTURE(SyncTest, "a client's directory comes once, then only what changed of it") {
  std::string big(5u << 20, '\0');
  for (std::size_t at = 0; at < big.size(); ++at) big[at] = static_cast<char>(at * 7 + at / 251);
  tree.add_file("\u00fcber \u96ea", "unicode");
  tree.add_directory("d", 5);
  tree.add_file("d/big", big);
  for (int i = 100; i < 400; ++i) tree.add_file("f" + std::to_string(i), "content " + std::to_string(i));
  std::ranges::sort(tree.entries, {}, [](const Packet& packet) { return packet.stat().path(); });
  FakeClient client(behaviour());
  std::uint64_t last_bytes = 0, last_files = 0;
  SyncRequest request{"context", {}, {"*.o"}, {}};
  request.progress = [&](std::uint64_t bytes, std::uint64_t files) {
    last_bytes = bytes;
    last_files = files;
  };
  SyncResult result = client.session().sync_directory(request, destination, nullptr);
  CHECK(result.files == 302);
  CHECK(last_files == 302);
  CHECK(last_bytes == result.bytes);
  CHECK(read("d/big") == big);
  CHECK(read("f399") == "content 399");
  CHECK(read("\u00fcber \u96ea") == "unicode");
  CHECK(metadata.find("dir-name")->second == "context");
  CHECK(metadata.find("exclude-patterns")->second == "*.o");
  CHECK(metadata.count("include-patterns") == 0);

  result = client.session().sync_directory(request, destination, nullptr);
  CHECK(result.entries == 303);
  CHECK(result.files == 0);
  CHECK(tree.asked.empty());

  tree.entries.clear();
  tree.add_file("f100", "content 100");
  tree.add_file("f101", "changed", 2);
  client.session().sync_directory(request, destination, nullptr);
  CHECK(tree.asked == std::vector<std::string>{"f101"});
  CHECK(read("f101") == "changed");
  CHECK(sys::list_dir(destination.tree_fd()) == std::vector<std::string>{"f100", "f101"});
}

TEST_CASE_FIXTURE(SyncTest, "patterns that are not ASCII are encoded") {
  FakeClient client(behaviour());
  client.session().sync_directory({"c", {"b\u00e4r", "x y"}, {}, {"Dockerfile"}}, destination, nullptr);
  std::vector<std::string> values;
  for (auto [at, end] = metadata.equal_range("include-patterns"); at != end; ++at) values.push_back(at->second);
  CHECK(values == std::vector<std::string>{"b%C3%A4r", "x+y"});
  CHECK(metadata.find("include-patterns-encoded")->second == "1");
  CHECK(metadata.find("followpaths")->second == "Dockerfile");
  CHECK(metadata.count("followpaths-encoded") == 0);
}

TEST_CASE_FIXTURE(SyncTest, "the data of many files may come mixed") {
  for (int i = 10; i < 26; ++i) tree.add_file(std::to_string(i), "0123456789");
  Behaviour mixed;
  mixed.sync = [this](const Metadata&, Stream<Packet>& stream) -> grpc::Status {
    for (const Packet& entry : tree.entries) stream.Write(entry);
    stream.Write(Packet());
    std::vector<std::uint32_t> asked;
    for (Packet packet; asked.size() < 16 && stream.Read(&packet);) asked.push_back(packet.id());
    for (std::size_t at = 0; at < 10; ++at)
      for (const std::uint32_t number : asked) stream.Write(data_packet(number, std::string(1, "0123456789"[at])));
    for (const std::uint32_t number : asked) stream.Write(packet_of(Packet::PACKET_DATA, number));
    Packet last;
    stream.Read(&last);
    stream.Write(last);
    return grpc::Status::OK;
  };
  FakeClient client(mixed);
  CHECK(client.session().sync_directory({"c", {}, {}, {}}, destination, nullptr).files == 16);
  for (int i = 10; i < 26; ++i) CHECK(read(std::to_string(i)) == "0123456789");
}

TEST_CASE_FIXTURE(SyncTest, "what goes wrong at a client is said") {
  const Error refused = sync_failure(destination, [](const Metadata&, Stream<Packet>&) {
    return grpc::Status(grpc::NOT_FOUND, "no access allowed to dir \"context\"");
  });
  CHECK(refused.code() == ErrorCode::not_found);
  CHECK(std::string(refused.what()) ==
        "directory 'context' of the client: no access allowed to dir \"context\" (NOT_FOUND)");

  const Error told = sync_failure(destination, [](const Metadata&, Stream<Packet>& stream) {
    Packet packet = packet_of(Packet::PACKET_ERR);
    packet.set_data("open x: permission denied");
    stream.Write(packet);
    return grpc::Status::OK;
  });
  CHECK(told.code() == ErrorCode::io);
  CHECK(says(told, "permission denied"));

  const Error early = sync_failure(destination, [](const Metadata&, Stream<Packet>& stream) {
    stream.Write(entry_packet("a", 0644, 5));
    return grpc::Status::OK;
  });
  CHECK(early.code() == ErrorCode::network);
}

TEST_CASE_FIXTURE(SyncTest, "hostile packets end a sync") {
  for (const Packet& packet :
       {entry_packet("../x", 0644), entry_packet("/x", 0644), entry_packet("a/b", 0644), entry_packet("a", 1u << 24),
        data_packet(7, "x"), packet_of(Packet::PACKET_FIN), packet_of(Packet::PACKET_REQ)}) {
    const Error error = sync_failure(destination, [&](const Metadata&, Stream<Packet>& stream) {
      stream.Write(packet);
      Packet ignored;
      stream.Read(&ignored);
      return grpc::Status::OK;
    });
    CHECK(error.code() == ErrorCode::input);
  }
  CHECK(sys::list_dir(destination.tree_fd()).empty());
}

TEST_CASE_FIXTURE(SyncTest, "a build that is cancelled does not wait for its client") {
  Behaviour silent;
  CancelSource cancel;
  silent.sync = [&](const Metadata&, Stream<Packet>& stream) {
    cancel.cancel();
    Packet packet;
    stream.Read(&packet);
    return grpc::Status::OK;
  };
  FakeClient client(silent);
  try {
    const Awaiting wait("the end of the cancelled sync");
    client.session().sync_directory({"c", {}, {}, {}}, destination, &cancel);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::cancelled);
  }
  CHECK(client.session().is_open());
}

TEST_CASE_FIXTURE(SyncTest, "a client that vanishes in the middle ends a sync, and the next session goes on") {
  tree.add_file("a", "1");
  tree.add_file("b", "2");
  Behaviour leaving;
  FakeClient* leaver = nullptr;
  leaving.sync = [&](const Metadata&, Stream<Packet>& stream) {
    for (const Packet& entry : tree.entries) stream.Write(entry);
    stream.Write(Packet());
    Packet packet;
    stream.Read(&packet);
    leaver->vanish();
    stream.Read(&packet);
    return grpc::Status::OK;
  };
  {
    FakeClient client(leaving);
    leaver = &client;
    try {
      const Awaiting wait("the end of the sync");
      client.session().sync_directory({"c", {}, {}, {}}, destination, nullptr);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::network);
      CHECK(says(error, "the client is gone"));
    }
    CHECK_FALSE(client.session().is_open());
    CHECK_THROWS_AS(client.session().sync_directory({"c", {}, {}, {}}, destination, nullptr), Error);
  }
  FakeClient client(behaviour());
  CHECK(client.session().sync_directory({"c", {}, {}, {}}, destination, nullptr).files == 2);
}

TEST_CASE_FIXTURE(SyncTest, "single files are read, those that are missing are left out") {
  tree.add_file("Dockerfile", "FROM scratch\n");
  tree.entries.push_back(entry_packet("linked", kGoLink | 0777, 0, 1, "Dockerfile"));
  FakeClient client(behaviour());
  const auto files = client.session().read_files("dockerfile", {"Dockerfile", "linked", "missing"}, 100, nullptr);
  CHECK(files == std::map<std::string, std::string>{{"Dockerfile", "FROM scratch\n"}, {"linked", "FROM scratch\n"}});
  CHECK(metadata.count("followpaths") == 3);
  CHECK(client.session().read_file("dockerfile", "Dockerfile", 100, nullptr) == "FROM scratch\n");
  CHECK_FALSE(client.session().read_file("dockerfile", "missing", 100, nullptr).has_value());
  CHECK_THROWS_AS(client.session().read_file("dockerfile", "Dockerfile", 5, nullptr), Error);
}

TEST_CASE_FIXTURE(SyncTest, "a client that stops answering loses its session") {
  Behaviour stuck;
  std::atomic<bool> over{false};
  stuck.sync = [&](const Metadata&, Stream<Packet>& stream) {
    Packet packet;
    stream.Read(&packet);
    return grpc::Status::OK;
  };
  stuck.health = [&]() -> grpc::Status {
    over.wait(false);
    return grpc::Status::OK;
  };
  SessionSettings settings;
  settings.health_interval = settings.health_timeout = std::chrono::milliseconds(10);
  FakeClient client(stuck, settings);
  try {
    const Awaiting wait("the end of the session");
    client.session().sync_directory({"c", {}, {}, {}}, destination, nullptr);
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(says(error, "the client is gone"));
  }
  CHECK_FALSE(client.session().is_open());
  over = true;
  over.notify_all();
}

}  // namespace cbuild::api
