// SPDX-License-Identifier: Apache-2.0
// A list of jobs, one a layer and repository, and a few threads that carry them out: offer the blob, unless it cannot
// be there yet; open an upload; send what is there, as long as the packer writes. The upload then waits for finish(),
// which names the blob: a build that fails has sent bytes, but left nothing. Fewer threads than a push has, because the
// steps that still run may need the network more.
#include "exporter/early_uploads.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/process/threads.h"
#include "cache/growing_blob.h"
#include "exporter/push.h"
#include "exporter/transfers.h"
#include "oci/registry/streamed_upload.h"

namespace cbuild::exporter {
namespace {

constexpr std::size_t kUploadsAtOnce = 2;
constexpr int kMostUploads = 2;           ///< of one blob: a fault may have ended the first
constexpr std::size_t kMostWaiting = 64;  ///< blobs of the packer, each with an open file
constexpr auto kCancelTime = std::chrono::seconds(3);
constexpr auto kWhole = std::numeric_limits<std::uint64_t>::max();

/// Where a blob comes from: the packer, or a file of the store.
struct Content {
  std::shared_ptr<cache::GrowingBlob> growing;
  oci::Descriptor blob;  ///< once it is whole
  UniqueFd stored = {};

  int file() const { return growing ? growing->file() : stored.get(); }
  cache::GrowingBlob::State wait_for(std::uint64_t wanted) const {
    return growing ? growing->wait_for(wanted) : cache::GrowingBlob::State{blob.size, true, blob.digest};
  }
  /// Keeps the name only.
  void close() {
    blob.digest = wait_for(0).digest;
    growing.reset();
    stored.reset();
  }
};

struct Job {
  enum class State { waiting, running, sent, present, left };
  oci::Reference target;
  Content content;
  bool is_new = false;
  State state = State::waiting;
  std::uint64_t sent = 0;
  std::unique_ptr<oci::registry::StreamedUpload> upload = {};  ///< of a job that is `sent`
};

struct Expected {
  oci::Reference target;
  bool is_new = false;
};

}  // namespace

struct EarlyUploads::Impl {
  Impl(cache::Store& in, MakeClient with) : store(in), make(std::move(with)) {}
  ~Impl();

  void add(Job job);
  void work();
  Job::State carry_out(Job& job);
  bool is_present(const Job& job);
  bool send(Job& job, oci::registry::StreamedUpload& upload);
  void note(Job& job, std::uint64_t sent);
  Job* find(const oci::Reference& target, const Digest& blob);
  oci::registry::Client& client();

  cache::Store& store;
  const MakeClient make;
  CancelSource stop;
  std::once_flag made;
  std::unique_ptr<oci::registry::Client> client_made;
  std::mutex mutex;  // guards what follows, but for the upload of a job that is running
  std::condition_variable changed;
  std::map<Digest, Expected> expected;
  std::vector<std::unique_ptr<Job>> jobs;
  std::deque<Job*> waiting;
  std::set<std::string> refusing;  ///< registries that take no chunks
  bool closed = false;
  std::vector<std::jthread> threads;
};

EarlyUploads::Impl::~Impl() {
  stop.cancel();
  {
    const std::lock_guard lock(mutex);
    closed = true;
  }
  changed.notify_all();
  threads.clear();
  const auto end = std::chrono::steady_clock::now() + kCancelTime;
  run_transfers(jobs.size(), [&](std::size_t i) {
    auto upload = std::move(jobs[i]->upload);
    if (upload && std::chrono::steady_clock::now() > end) upload->leave();
  });
}

oci::registry::Client& EarlyUploads::Impl::client() {
  std::call_once(made, [this] { client_made = make(stop); });
  return *client_made;
}

void EarlyUploads::Impl::add(Job job) {
  const std::lock_guard lock(mutex);
  jobs.push_back(std::make_unique<Job>(std::move(job)));
  waiting.push_back(jobs.back().get());
  if (threads.size() < kUploadsAtOnce)
    if (auto thread = try_start_thread([this] { work(); })) threads.push_back(std::move(*thread));
  changed.notify_all();
}

void EarlyUploads::Impl::work() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return closed || !waiting.empty(); });
    if (closed) return;
    Job& job = *waiting.front();
    waiting.pop_front();
    job.state = Job::State::running;
    lock.unlock();
    Job::State state = Job::State::left;
    try {
      state = carry_out(job);
    } catch (...) {  // the push finds out, and says it
      state = Job::State::left;
    }
    lock.lock();
    job.state = state;
    job.content.close();
    changed.notify_all();
  }
}

Job::State EarlyUploads::Impl::carry_out(Job& job) {
  if (!job.is_new && is_present(job)) return Job::State::present;
  if (!job.content.growing) job.content.stored = store.blobs().open(job.content.blob.digest);
  for (int attempt = 0; attempt < kMostUploads; ++attempt) {
    {
      const std::lock_guard lock(mutex);
      if (refusing.contains(job.target.registry)) break;
    }
    auto upload = client().begin_upload(job.target);
    if (send(job, *upload)) {
      job.upload = std::move(upload);
      return Job::State::sent;
    }
    const std::lock_guard lock(mutex);
    if (upload->was_refused()) refusing.insert(job.target.registry);
  }
  return Job::State::left;
}

/// Whether the repository has the blob, or could mount it.
bool EarlyUploads::Impl::is_present(const Job& job) {
  const cache::GrowingBlob::State whole = job.content.wait_for(kWhole);
  if (whole.digest.empty()) throw Error(ErrorCode::cancelled, "not packed");
  cache::Layer layer;
  layer.blob.emplace();
  layer.blob->digest = whole.digest;
  layer.blob->size = whole.written;
  const std::vector<oci::Reference> sources = mount_sources(store, layer, job.target);
  return client().offer_blob(job.target, *layer.blob, sources.empty() ? std::nullopt : std::optional(sources.front()));
}

bool EarlyUploads::Impl::send(Job& job, oci::registry::StreamedUpload& upload) {
  while (true) {
    const cache::GrowingBlob::State state = job.content.wait_for(upload.sent() + upload.least());
    if (state.ended && state.digest.empty()) throw Error(ErrorCode::cancelled, "not packed");
    if (!upload.send(job.content.file(), state.written, [&](std::uint64_t sent) { note(job, sent); })) return false;
    if (state.ended) return true;
  }
}

void EarlyUploads::Impl::note(Job& job, std::uint64_t sent) {
  const std::lock_guard lock(mutex);
  job.sent = sent;
  changed.notify_all();
}

/// The job for a blob that nobody has finished yet.
Job* EarlyUploads::Impl::find(const oci::Reference& target, const Digest& blob) {
  const auto is_it = [&](const std::unique_ptr<Job>& job) {
    return job->state != Job::State::left && job->target.registry == target.registry &&
           job->target.repository == target.repository && job->content.wait_for(0).digest == blob;
  };
  const auto found = std::find_if(jobs.begin(), jobs.end(), is_it);
  return found == jobs.end() ? nullptr : found->get();
}

EarlyUploads::EarlyUploads(cache::Store& store, MakeClient make)
    : impl_(std::make_unique<Impl>(store, std::move(make))) {}
EarlyUploads::~EarlyUploads() = default;

void EarlyUploads::expect(const Digest& layer, const oci::Reference& target, bool is_new) {
  const std::lock_guard lock(impl_->mutex);
  impl_->expected.insert_or_assign(layer, Expected{target, is_new});
}

void EarlyUploads::add(const oci::Descriptor& blob, const oci::Reference& target) {
  impl_->add({.target = target, .content = {.growing = nullptr, .blob = blob}});
}

std::shared_ptr<cache::GrowingBlob> EarlyUploads::on_pack(const Digest& layer) {
  Job job;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->expected.find(layer);
    if (found == impl_->expected.end() || impl_->waiting.size() >= kMostWaiting) return nullptr;
    job.target = found->second.target;
    job.is_new = found->second.is_new;
    impl_->expected.erase(found);
  }
  auto growing = std::make_shared<cache::GrowingBlob>(impl_->store, nullptr);
  job.content.growing = growing;
  impl_->add(std::move(job));
  return growing;
}

bool EarlyUploads::finish(const oci::Reference& target, const oci::Descriptor& blob,
                          const oci::registry::Transferred& progress, const CancelSource* cancel) {
  std::unique_lock lock(impl_->mutex);
  Job* const job = impl_->find(target, blob.digest);
  if (job == nullptr) return false;
  if (job->state == Job::State::waiting) {
    std::erase(impl_->waiting, job);
    job->content.close();
    job->state = Job::State::left;
  }
  for (std::uint64_t told = 0; job->state == Job::State::running;) {
    if (cancel != nullptr) cancel->check();
    impl_->changed.wait_for(lock, std::chrono::milliseconds(50));
    if (job->sent == std::exchange(told, job->sent) || !progress) continue;
    lock.unlock();
    progress(told, blob.size);
    lock.lock();
  }
  const Job::State state = std::exchange(job->state, Job::State::left);
  if (state != Job::State::sent) return state == Job::State::present;
  const std::unique_ptr<oci::registry::StreamedUpload> upload = std::move(job->upload);
  lock.unlock();
  return upload->finish(blob.digest);
}

}  // namespace cbuild::exporter
