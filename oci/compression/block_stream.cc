// SPDX-License-Identifier: Apache-2.0
// A ring of slots. The caller fills a slot and dispatches it; from then on it is read by two lanes that keep the order
// (the tap, and the sink behind the compressor) and by one compression in between. A lane is not a thread: it is an
// item that works off ready slots and ends, and is started again by whoever makes the next slot ready. A slot is free
// again when both lanes are past it.
#include "oci/compression/block_stream.h"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "oci/compression/block_codec.h"

namespace cbuild::oci::layer {
namespace {

struct Slot {
  RawBuffer input, output;
  std::uint32_t crc = 0;
  bool compressed = false;
};

}  // namespace

struct BlockStream::Impl {
  Impl(TaskGroup& tasks_in, Compression compression_in, int level_in, ByteSink sink_in, ByteSink tap_in)
      : tasks(tasks_in),
        compression(compression_in),
        level(level_in),
        sink(std::move(sink_in)),
        tap(std::move(tap_in)),
        method(block_method(compression, level)),
        block_bytes(block_size(method)),
        frame(method),
        slots(1) {
    slots[0].input.reserve(block_bytes);
  }

  Slot& slot(std::uint64_t index) { return slots[index % slots.size()]; }
  Slot& current() { return slot(dispatched); }

  void dispatch();
  void compress(std::uint64_t index);
  void run_tap();
  void run_sink();
  void finish_inline();
  void finish_tasks();
  void emit(std::span<const std::byte> bytes) {
    if (!bytes.empty()) sink(bytes);
  }
  BlockCodec take_codec();

  TaskGroup& tasks;
  const Compression compression;
  const int level;
  const ByteSink sink, tap;
  const BlockMethod method;
  const std::size_t block_bytes;
  StreamFrame frame;  ///< owned by the sink lane
  std::vector<Slot> slots;
  std::uint64_t total = 0;
  bool finished = false;

  std::mutex mutex;  ///< guards the members below and Slot::compressed
  std::vector<BlockCodec> idle_codecs;
  std::uint64_t dispatched = 0, tapped = 0, sunk = 0;
  bool tap_running = false, sink_running = false;
};

BlockCodec BlockStream::Impl::take_codec() {
  {
    const std::scoped_lock lock(mutex);
    if (!idle_codecs.empty()) {
      BlockCodec codec = std::move(idle_codecs.back());
      idle_codecs.pop_back();
      return codec;
    }
  }
  return {compression, level};
}

/// Hands the current slot to the lanes and waits until the next one is free.
void BlockStream::Impl::dispatch() {
  if (dispatched == 0) {
    std::vector<Slot> ring(2 * TaskGroup::width() + 2);
    ring[0] = std::move(slots[0]);
    slots = std::move(ring);
  }
  const std::uint64_t index = dispatched;
  bool start_tap = false;
  {
    const std::scoped_lock lock(mutex);
    ++dispatched;
    start_tap = tap && !std::exchange(tap_running, true);
  }
  tasks.post([this, index] { compress(index); });
  if (start_tap) tasks.post([this] { run_tap(); });
  tasks.help_until([this] {
    const std::scoped_lock lock(mutex);
    const std::uint64_t done = tap ? std::min(tapped, sunk) : sunk;
    return dispatched - done < slots.size();
  });
  current().input.clear();
  current().input.reserve(block_bytes);
}

void BlockStream::Impl::compress(std::uint64_t index) {
  Slot& mine = slot(index);
  mine.output.clear();
  if (index == 0) frame.append_head(mine.output);
  BlockCodec codec = take_codec();
  if (method != BlockMethod::copy) mine.crc = codec.append(mine.input.content(), mine.output);
  bool start_sink = false;
  {
    const std::scoped_lock lock(mutex);
    idle_codecs.push_back(std::move(codec));
    mine.compressed = true;
    start_sink = slot(sunk).compressed && !std::exchange(sink_running, true);
  }
  if (start_sink) run_sink();
}

void BlockStream::Impl::run_tap() {
  for (;;) {
    {
      const std::scoped_lock lock(mutex);
      if (tapped == dispatched) {
        tap_running = false;
        return;
      }
    }
    tap(slot(tapped).input.content());
    const std::scoped_lock lock(mutex);
    ++tapped;
  }
}

void BlockStream::Impl::run_sink() {
  for (;;) {
    {
      const std::scoped_lock lock(mutex);
      if (sunk == dispatched || !slot(sunk).compressed) {
        sink_running = false;
        return;
      }
    }
    Slot& next = slot(sunk);
    frame.add(next.crc, next.input.size());
    emit(method == BlockMethod::copy ? next.input.content() : next.output.content());
    const std::scoped_lock lock(mutex);
    next.compressed = false;
    ++sunk;
  }
}

void BlockStream::Impl::finish_inline() {
  Slot& only = slots[0];
  const std::span<const std::byte> content = only.input.content();
  if (tap && !content.empty()) tap(content);
  if (method == BlockMethod::copy) return emit(content);
  frame.append_head(only.output);
  if (!content.empty() || frame.needs_block()) {
    frame.add(BlockCodec(compression, level).append(content, only.output), content.size());
  }
  frame.append_tail(only.output);
  emit(only.output.content());
}

void BlockStream::Impl::finish_tasks() {
  if (current().input.size() > 0) dispatch();
  tasks.help_until([this] {
    const std::scoped_lock lock(mutex);
    return sunk == dispatched && (!tap || tapped == dispatched) && !sink_running && !tap_running;
  });
  RawBuffer tail;
  frame.append_tail(tail);
  emit(tail.content());
}

BlockStream::BlockStream(TaskGroup& tasks, Compression compression, int level, ByteSink sink, ByteSink tap)
    : impl_(std::make_unique<Impl>(tasks, compression, level, std::move(sink), std::move(tap))) {}
BlockStream::~BlockStream() {
  if (!impl_->finished) impl_->tasks.stop();
}

std::span<std::byte> BlockStream::room() {
  RawBuffer& input = impl_->current().input;
  return input.room().first(impl_->block_bytes - input.size());
}

void BlockStream::advance(std::size_t count) {
  RawBuffer& input = impl_->current().input;
  input.advance(count);
  impl_->total += count;
  if (input.size() == impl_->block_bytes) impl_->dispatch();
}

void BlockStream::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> space = room();
    const std::size_t count = std::min(space.size(), bytes.size());
    std::memcpy(space.data(), bytes.data(), count);
    advance(count);
    bytes = bytes.subspan(count);
  }
}

void BlockStream::write_zeros(std::uint64_t count) {
  while (count > 0) {
    const std::span<std::byte> space = room();
    const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(space.size(), count));
    std::memset(space.data(), 0, part);
    advance(part);
    count -= part;
  }
}

void BlockStream::finish() {
  impl_->dispatched == 0 ? impl_->finish_inline() : impl_->finish_tasks();
  impl_->finished = true;
}

std::uint64_t BlockStream::size() const { return impl_->total; }

}  // namespace cbuild::oci::layer
