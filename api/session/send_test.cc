// SPDX-License-Identifier: Apache-2.0
// Outputs that go to a client.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "api/session/fake_client.h"
#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"
#include "base/test_wait.h"

namespace cbuild::api {
namespace {

using namespace test;

/// The same method carries other messages: what is not known of a message is kept in it.
Packet packet_from(const Bytes& message) {
  Packet packet;
  REQUIRE(packet.ParseFromString(message.SerializeAsString()));
  return packet;
}
Bytes bytes_of(const Packet& packet) {
  Bytes message;
  REQUIRE(message.ParseFromString(packet.SerializeAsString()));
  return message;
}

/// A client that takes a directory: the list, then the files of these numbers.
struct DirectoryTaker {
  std::vector<std::uint32_t> wanted;
  std::vector<::fsutil::types::Stat> entries;
  std::map<std::uint32_t, std::string> contents;
  Metadata metadata;
  bool ended = false;

  grpc::Status take(const Metadata& from, Stream<Bytes>& stream) {
    metadata = from;
    Bytes message;
    while (stream.Read(&message)) {
      const Packet packet = packet_from(message);
      if (packet.type() != Packet::PACKET_STAT || !packet.has_stat()) break;
      entries.push_back(packet.stat());
    }
    for (const std::uint32_t number : wanted) stream.Write(bytes_of(packet_of(Packet::PACKET_REQ, number)));
    for (std::size_t done = 0; done < wanted.size() && stream.Read(&message);) {
      const Packet packet = packet_from(message);
      contents[packet.id()] += packet.data();
      if (packet.data().empty()) ++done;
    }
    stream.Write(bytes_of(packet_of(Packet::PACKET_FIN)));
    while (stream.Read(&message)) ended = packet_from(message).type() == Packet::PACKET_FIN;
    return grpc::Status::OK;
  }
  Behaviour behaviour() {
    Behaviour result;
    result.send = [this](const Metadata& from, Stream<Bytes>& stream) { return take(from, stream); };
    return result;
  }
};

/// Keeps the bytes of an archive.
struct ArchiveTaker {
  std::string bytes;
  Metadata metadata;
  std::mutex mutex;
  std::condition_variable changed;
  int ended = 0;
  bool cancelled = false;

  Behaviour behaviour() {
    Behaviour result;
    result.send = [this](const Metadata& from, Stream<Bytes>& stream) {
      metadata = from;
      for (Bytes message; stream.Read(&message);) bytes += message.data();
      // A stream that was broken off takes nothing more.
      const bool broken = !stream.Write(Bytes());
      const std::lock_guard lock(mutex);
      cancelled = broken;
      ++ended;
      changed.notify_all();
      return grpc::Status::OK;
    };
    return result;
  }
};

void fill(int root) {
  sys::mkdir_at(root, "a", 0755);
  sys::write_file_at(root, "a/x", std::string(700'000, 'x'));
  sys::write_file_at(root, "a-b", "between");
  sys::write_file_at(root, "b", "bb", 0640);
  REQUIRE(::linkat(root, "b", root, "c", 0) == 0);
  REQUIRE(::symlinkat("a/x", root, "d") == 0);
}

}  // namespace

TEST_CASE("an archive goes to the client with what it is told of it") {
  ArchiveTaker taker;
  FakeClient client(taker.behaviour());
  const auto sender = client.session().send_archive(
      2, {{"containerimage.digest", "sha256:1"}, {"config/linux", "x"}, {"text", "\u00e4"}}, nullptr);
  std::string text(3'000'000, 'a');
  text += "end";
  sys::write_all(sender->fd(), text);
  const Awaiting wait("the client");
  sender->finish();
  CHECK(taker.bytes == text);
  CHECK(taker.metadata.find("buildkit-attachable-exporter-id")->second == "2");
  CHECK(taker.metadata.find("exporter-md-containerimage.digest")->second == "sha256:1");
  CHECK(taker.metadata.count("exporter-md-text") == 0);
}

TEST_CASE("an archive that the client does not want fails with its reason, and so does one for a client that is gone") {
  Behaviour behaviour;
  behaviour.send = [](const Metadata&, Stream<Bytes>&) { return grpc::Status(grpc::ALREADY_EXISTS, "target exists"); };
  FakeClient client(behaviour);
  auto sender = client.session().send_archive(0, {}, nullptr);
  try {
    sender->finish();
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::usage);
  }
  sender = client.session().send_archive(0, {}, nullptr);
  client.vanish();
  CHECK_THROWS_AS(sender->finish(), Error);
}

TEST_CASE("an archive that is dropped does not look whole to the client") {
  ArchiveTaker taker;
  FakeClient client(taker.behaviour());
  {
    const auto sender = client.session().send_archive(0, {}, nullptr);
    sys::write_all(sender->fd(), "part");
  }
  const Awaiting wait("the client");
  std::unique_lock lock(taker.mutex);
  // The call may have ended before the client has heard of it.
  client.vanish();
  if (taker.changed.wait_for(lock, std::chrono::seconds(5), [&] { return taker.ended == 1; })) CHECK(taker.cancelled);
}

TEST_CASE("a directory goes to the client in the order of its names, and files as they are asked for") {
  const TempDir directory = TempDir::in_tmp("send-test-");
  fill(directory.fd());
  DirectoryTaker taker;
  taker.wanted = {3, 1};
  FakeClient client(taker.behaviour());
  const Awaiting wait("the client");
  const SyncResult result = client.session().send_directory({1, {{"k", "v"}}, true}, directory.fd(), nullptr);
  std::vector<std::string> paths;
  for (const auto& entry : taker.entries) paths.push_back(entry.path());
  CHECK(paths == std::vector<std::string>{"a", "a/x", "a-b", "b", "c", "d"});
  CHECK(taker.entries[0].mode() == (kGoDirectory | 0755));
  CHECK(taker.entries[3].mode() == 0640);
  CHECK(taker.entries[4].linkname() == "b");
  CHECK(taker.entries[4].size() == 0);
  CHECK(taker.entries[5].linkname() == "a/x");
  CHECK(taker.entries[5].mode() == (kGoLink | 0777));
  CHECK(taker.contents == std::map<std::uint32_t, std::string>{{1, std::string(700'000, 'x')}, {3, "bb"}});
  CHECK(taker.ended);
  CHECK(result.entries == 6);
  CHECK(result.files == 2);
  CHECK(result.bytes == 700'002);
  CHECK(taker.metadata.find("buildkit-exporter-multi-platform")->second == "1");
  CHECK(taker.metadata.find("buildkit-attachable-exporter-id")->second == "1");
  CHECK(taker.metadata.find("exporter-md-k")->second == "v");
}

TEST_CASE("requests for what is not a file, twice or of no number are refused") {
  const TempDir directory = TempDir::in_tmp("send-test-");
  fill(directory.fd());
  for (const std::vector<std::uint32_t>& wanted : {std::vector<std::uint32_t>{0}, {1, 1}, {6}, {5}}) {
    DirectoryTaker taker;
    taker.wanted = wanted;
    FakeClient client(taker.behaviour());
    try {
      const Awaiting wait("the end of the call");
      client.session().send_directory({}, directory.fd(), nullptr);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::input);
    }
  }
}

}  // namespace cbuild::api
