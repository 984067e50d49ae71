// SPDX-License-Identifier: Apache-2.0
// Packets of a client that are made of the input, into one tree over and over. What is next to the tree stays, an error
// is one of the client, and whatever came, an empty list empties the tree.
#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "api/proto/files.pb.h"
#include "api/session/tree_receiver.h"
#include "base/error.h"
#include "base/files.h"
#include "base/sys.h"

namespace {

using namespace cbuild;
using namespace cbuild::api;

/// The place of all inputs, and a file that none may change.
struct Place {
  TempDir directory = TempDir::in_tmp("receiver-fuzz-");
  SyncedDirectory copy = SyncedDirectory::try_lock(directory.path() + "/copy").value();
  Place() { sys::write_file_at(directory.fd(), "kept", "kept"); }
};

void receive(const SyncedDirectory& copy, const SyncLimits& limits, const ::fsutil::types::Packet* packets,
             std::size_t count) {
  TreeReceiver receiver(copy, limits, {}, [](std::uint32_t) {});
  for (std::size_t at = 0; at < count; ++at) {
    if (packets[at].type() == ::fsutil::types::Packet::PACKET_DATA)
      receiver.data(packets[at].id(), packets[at].data());
    else if (packets[at].has_stat())
      receiver.add(from_message(packets[at].stat()));
  }
  receiver.end_entries();
  if (receiver.complete()) receiver.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Place place;
  const SyncLimits limits{50, 4096, 8, 4};
  std::vector<::fsutil::types::Packet> packets;
  // Each packet has its length in a byte before it.
  for (std::size_t at = 0; at < size && packets.size() < 60;) {
    const std::size_t length = std::min<std::size_t>(data[at], size - at - 1);
    ::fsutil::types::Packet packet;
    if (packet.ParsePartialFromArray(data + at + 1, static_cast<int>(length))) packets.push_back(std::move(packet));
    at += length + 1;
  }
  try {
    receive(place.copy, limits, packets.data(), packets.size());
  } catch (const Error& error) {
    CBUILD_CHECK(error.code() != ErrorCode::internal);
  }
  receive(place.copy, limits, nullptr, 0);
  CBUILD_CHECK(sys::list_dir(place.copy.tree_fd()).empty());
  CBUILD_CHECK(sys::read_file_at(place.directory.fd(), "kept", 10) == "kept");
  CBUILD_CHECK(sys::list_dir(place.directory.fd()).size() == 2);
  return 0;
}
