// SPDX-License-Identifier: Apache-2.0
// A queue of batches. Nearly all of the time of a small file goes to the file system, which makes files of different
// directories in parallel; so the one thread that reads the archive hands over whole files and goes on. A batch is some
// files in the order of the archive, enough to be worth waking a thread. Files that are not made after a failure do not
// matter, but which failure is reported does: the one that a single thread would have met first. Batches are begun in
// their order, so every file before a failed one is in a batch that runs to its own end.
#include "oci/layer/file_maker.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/process/process_limits.h"
#include "base/process/threads.h"
#include "base/sys.h"
#include "base/text.h"

namespace cbuild::oci::layer {
namespace {

constexpr std::size_t kBatchFiles = 64, kBatchDirs = 8, kBatchContent = 256u << 10;
constexpr unsigned kMostThreads = 4, kOpenFilesOfAThread = 3 * (kBatchDirs + 1);

/// The reading thread and the one that decodes ahead have work of their own.
unsigned default_threads() {
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  return jobs_within_open_files(std::clamp(cores - 1, 1u, kMostThreads) + 1, kOpenFilesOfAThread) - 1;
}

struct Batch {
  std::uint64_t number = 0;
  std::vector<NewFile> files;
  std::size_t dirs = 0, bytes = 0;

  bool is_full() const { return files.size() >= kBatchFiles || dirs >= kBatchDirs || bytes >= kBatchContent; }
};

void make_file(const MemberMetadata& metadata, NewFile& file) {
  std::optional<UniqueFd> fd = MemberMetadata::create_file(*file.dir, file.name);
  if (!fd) {  // a file system that does not know upper case from lower case
    sys::unlink_at(file.dir->fd.get(), file.name);
    fd = MemberMetadata::create_file(*file.dir, file.name);
  }
  if (!fd) throw_errno(EEXIST, "create file");
  std::size_t next = 0;
  metadata.fill_file(std::move(*fd), file.member, *file.dir, [&](std::span<const std::byte>& bytes, std::uint64_t& at) {
    if (next == file.pieces.size()) return false;
    bytes = file.pieces[next].bytes;
    at = file.pieces[next].offset;
    ++next;
    return true;
  });
}

}  // namespace

struct FileMaker::Impl {
  using Lock = std::unique_lock<std::mutex>;

  Impl(const MemberMetadata& metadata_in, std::optional<unsigned> wanted)
      : metadata(metadata_in), most_threads(wanted ? *wanted : default_threads()), eager(wanted.has_value()) {}

  void hand_over();
  void start_thread_for(std::size_t waiting);
  void run(Batch& batch);
  void run_front(Lock& lock);
  void work();

  const MemberMetadata& metadata;
  unsigned most_threads;
  const bool eager;
  unsigned chunks = 0;
  Batch current;
  std::uint64_t batches = 0;

  std::mutex mutex;  ///< guards the members below
  std::condition_variable work_there, done;
  std::deque<Batch> queue;
  std::size_t running = 0;
  std::exception_ptr failure;
  std::uint64_t failed_batch = 0;
  bool stopped = false;
  std::vector<std::jthread> threads;  ///< last, so that they end first; used by the owner only
};

void FileMaker::Impl::run(Batch& batch) {
  std::exception_ptr error;
  for (NewFile& file : batch.files) {
    try {
      make_file(metadata, file);
    } catch (Error& failed) {
      failed.add_context(sanitize_for_terminal(file.member.entry.name));
      error = std::current_exception();
    } catch (...) {
      error = std::current_exception();
    }
    if (error) break;
  }
  batch.files.clear();  // the memory and the directories that they hold
  if (!error) return;
  const std::scoped_lock lock(mutex);
  if (!failure || batch.number < failed_batch) failure = error;
  failed_batch = failure == error ? batch.number : failed_batch;
  queue.clear();
}

void FileMaker::Impl::run_front(Lock& lock) {
  Batch batch = std::move(queue.front());
  queue.pop_front();
  ++running;
  lock.unlock();
  run(batch);
  lock.lock();
  --running;
  if (running == 0) done.notify_all();
}

void FileMaker::Impl::work() {
  Lock lock(mutex);
  while (!stopped) {
    if (!queue.empty()) {
      run_front(lock);
    } else {
      work_there.wait(lock);
    }
  }
}

void FileMaker::Impl::start_thread_for(std::size_t waiting) {
  if (waiting == 0 || threads.size() >= most_threads) return;
  auto thread = try_start_thread([this] { work(); });
  if (thread) {
    threads.push_back(std::move(*thread));
  } else {
    most_threads = static_cast<unsigned>(threads.size());
  }
}

void FileMaker::Impl::hand_over() {
  if (current.files.empty()) return;
  current.number = batches++;
  Batch batch = std::exchange(current, {});
  const bool alone = most_threads == 0 || (!eager && chunks <= 2);
  if (alone) {
    run(batch);
  } else {
    Lock lock(mutex);
    if (failure) return;
    queue.push_back(std::move(batch));
    work_there.notify_one();
    const std::size_t waiting = queue.size();
    lock.unlock();
    start_thread_for(waiting);
    lock.lock();
    while (queue.size() > 2 * threads.size()) run_front(lock);
  }
}

FileMaker::FileMaker(const MemberMetadata& metadata, std::optional<unsigned> threads)
    : impl_(std::make_unique<Impl>(metadata, threads)) {}

FileMaker::~FileMaker() {
  const std::scoped_lock lock(impl_->mutex);
  impl_->stopped = true;
  impl_->queue.clear();
  impl_->work_there.notify_all();
}

void FileMaker::add(NewFile file) {
  Batch& batch = impl_->current;
  if (batch.files.empty() || batch.files.back().dir != file.dir) ++batch.dirs;
  for (const NewFile::Piece& piece : file.pieces) batch.bytes += piece.bytes.size();
  batch.files.push_back(std::move(file));
  if (batch.is_full()) impl_->hand_over();
}

void FileMaker::end_of_chunk() {
  ++impl_->chunks;
  impl_->hand_over();
  Impl::Lock lock(impl_->mutex);
  if (!impl_->failure) return;
  lock.unlock();
  wait();
}

void FileMaker::wait() {
  impl_->hand_over();
  Impl::Lock lock(impl_->mutex);
  while (!impl_->queue.empty() || impl_->running > 0) {
    if (!impl_->queue.empty()) {
      impl_->run_front(lock);
    } else {
      impl_->done.wait(lock);
    }
  }
  if (!impl_->failure) return;
  try {
    std::rethrow_exception(impl_->failure);
  } catch (const Error& error) {
    throw Error(error);  // a copy: whoever catches it may add to it
  }
}

}  // namespace cbuild::oci::layer
