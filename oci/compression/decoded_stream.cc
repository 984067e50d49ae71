// SPDX-License-Identifier: Apache-2.0
// A ring of chunks between two threads. A chunk is free when it was consumed and digested. Decoding and digesting are
// each done in order, by one thread at a time, by whichever is idle: the caller does not wait for the other thread to
// be scheduled while there is work it can do, which matters most on a busy machine.
#include "oci/compression/decoded_stream.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/process/threads.h"
#include "base/text.h"
#include "oci/compression/decoder.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kChunkSize = 512u << 10, kChunks = 8;

struct Chunk {
  std::unique_ptr<std::byte[]> bytes;
  std::size_t size = 0;
  unsigned keepers = 0;
  std::span<const std::byte> content() const { return {bytes.get(), size}; }
};

}  // namespace

struct DecodedStream::Impl {
  using Lock = std::unique_lock<std::mutex>;

  Impl(SourceReader& source_in, std::uint64_t max_bytes_in)
      : source(source_in), max_bytes(max_bytes_in), decoder(source_in) {}

  /// Whether the digest of what is decoded is that of the source.
  bool source_has_it() const { return decoder.is_plain() && source.is_digested(); }
  Chunk& chunk(std::uint64_t index) { return chunks[index % kChunks]; }
  bool decode_one(Lock& lock);
  void work_ahead();
  bool digest_one(Lock& lock);
  void release();
  void let_go(Chunk& kept);
  void wait_for_chunk(Lock& lock);

  SourceReader& source;
  const std::uint64_t max_bytes;
  Decoder decoder;  ///< used by whoever set `decoding`, like the total
  std::uint64_t total = 0;
  std::array<Chunk, kChunks> chunks;
  Sha256 sha;  ///< used by whoever set `digesting`
  bool holding = false;
  std::weak_ptr<const void> keeping;  ///< of the chunk that the caller holds

  std::mutex mutex;  ///< guards the members below
  std::condition_variable changed;
  std::uint64_t decoded = 0, digested = 0, consumed = 0;
  bool decoding = false, digesting = false, ended = false, stopped = false;
  bool alone = false;  ///< no second thread could be started, so that the caller does everything
  std::exception_ptr error;
  std::jthread thread;
};

/// Decodes into the next chunk. False if there is nothing to decode, no free chunk, or another at it.
bool DecodedStream::Impl::decode_one(Lock& lock) {
  if (decoding || ended || decoded - std::min(digested, consumed) == kChunks) return false;
  Chunk& next = chunk(decoded);
  if (next.keepers > 0) return false;
  decoding = true;
  lock.unlock();
  std::size_t size = 0;
  std::exception_ptr failure;
  try {
    if (!next.bytes) next.bytes = std::make_unique_for_overwrite<std::byte[]>(kChunkSize);
    size = decoder.read({next.bytes.get(), kChunkSize});
    total += size;
    if (total > max_bytes) throw Error(ErrorCode::corrupt, cat("unpacks to more than ", max_bytes, " bytes"));
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  decoding = false;
  next.size = size;
  error = failure;
  ended = failure || size < kChunkSize;
  if (!failure && size > 0) ++decoded;
  changed.notify_all();
  return true;
}

void DecodedStream::Impl::work_ahead() {
  Lock lock(mutex);
  while (!stopped && !(ended && digested == decoded)) {
    if (!decode_one(lock) && !digest_one(lock)) changed.wait(lock);
  }
}

bool DecodedStream::Impl::digest_one(Lock& lock) {
  if (digesting || digested == decoded) return false;
  digesting = true;
  const std::span<const std::byte> content = chunk(digested).content();
  lock.unlock();
  if (!source_has_it()) sha.update(content);
  lock.lock();
  digesting = false;
  ++digested;
  changed.notify_all();
  return true;
}

void DecodedStream::Impl::release() {
  if (!std::exchange(holding, false)) return;
  keeping.reset();
  ++consumed;
  changed.notify_all();
}

void DecodedStream::Impl::let_go(Chunk& kept) {
  const std::scoped_lock lock(mutex);
  --kept.keepers;
  changed.notify_all();
}

void DecodedStream::Impl::wait_for_chunk(Lock& lock) {
  while (consumed == decoded && !ended) {
    if (decoded > 0 && !thread.joinable() && !alone) {
      auto other = try_start_thread([this] { work_ahead(); });
      alone = !other;
      if (other) thread = std::move(*other);
    }
    if (!decode_one(lock) && !digest_one(lock)) changed.wait(lock);
  }
}

DecodedStream::DecodedStream(SourceReader& source, std::uint64_t max_bytes)
    : impl_(std::make_shared<Impl>(source, max_bytes)) {}

DecodedStream::~DecodedStream() {
  {
    const std::scoped_lock lock(impl_->mutex);
    impl_->stopped = true;
    impl_->keeping.reset();  // it holds the deleter of what is kept, which holds this
    impl_->changed.notify_all();
  }
  if (impl_->thread.joinable()) impl_->thread.join();  // what is kept may live longer than the source
}

std::span<const std::byte> DecodedStream::next() {
  Impl::Lock lock(impl_->mutex);
  impl_->release();
  impl_->wait_for_chunk(lock);
  if (impl_->consumed < impl_->decoded) {
    impl_->holding = true;
    return impl_->chunk(impl_->consumed).content();
  }
  if (impl_->error) std::rethrow_exception(impl_->error);
  return {};
}

std::shared_ptr<const void> DecodedStream::keep(std::span<const std::byte> bytes) {
  const Impl::Lock lock(impl_->mutex);
  if (!impl_->holding) return nullptr;
  Chunk& held = impl_->chunk(impl_->consumed);
  const std::less_equal<const std::byte*> up_to;
  const std::byte* const end = held.bytes.get() + held.size;
  if (!up_to(held.bytes.get(), bytes.data()) || !up_to(bytes.data() + bytes.size(), end)) return nullptr;
  std::shared_ptr<const void> kept = impl_->keeping.lock();
  if (!kept) {
    kept = {held.bytes.get(), [impl = impl_, &held](const void*) { impl->let_go(held); }};
    ++held.keepers;
    impl_->keeping = kept;
  }
  return kept;
}

DecodedStream::Digests DecodedStream::finish() {
  while (!next().empty()) {
  }
  Impl::Lock lock(impl_->mutex);
  while (impl_->digested < impl_->decoded) {
    if (!impl_->digest_one(lock)) impl_->changed.wait(lock);
  }
  lock.unlock();
  impl_->source.drain();
  const Digest source = impl_->source.digest();
  return {source, impl_->source_has_it() ? source : impl_->sha.finish()};
}

}  // namespace cbuild::oci::layer
