// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/progress.h"
#include "solver/ops/secret_mask.h"

namespace cbuild::solver::ops {

/// The last bytes of a stream of any length. Takes no more memory than it holds.
class TailBuffer {
 public:
  explicit TailBuffer(std::size_t capacity) : capacity_(capacity) {}
  void append(std::string_view data);
  /// Its bytes, in order; it is empty afterwards.
  std::string take();
  /// All that was appended since it was last empty.
  std::uint64_t total() const { return total_; }

 private:
  std::size_t capacity_, next_ = 0;  ///< next_: where the oldest byte lies, once it is full
  std::uint64_t total_ = 0;
  std::string data_;
};

/// Bounds of the output of a step, for each of its two streams.
struct LogLimits {
  static constexpr std::int64_t kNone = -1;
  std::int64_t shown_bytes = 2 << 20, shown_bytes_per_second = 200 << 10;
  std::size_t kept_head = 16u << 20, kept_tail = 1u << 20;
};
/// The values of BUILDKIT_STEP_LOG_MAX_SIZE and BUILDKIT_STEP_LOG_MAX_SPEED, null if not set: bytes, -1 for none. Other
/// texts than a number of 32 bits count as not set, as they do for BuildKit.
LogLimits log_limits_of(const char* max_size, const char* max_speed);

/// Which part of a stream is shown. All output counts, also the part that was not shown: a stream that is over its rate
/// is shown again when its average has come down.
class StreamClip {
 public:
  enum class Reason : std::uint8_t { size, speed };

  StreamClip(const LogLimits& limits, std::int64_t began_ns) : limits_(limits), began_ns_(began_ns) {}
  /// How much of `data`, which came at `now_ns`, is to be shown; the rest of it is remembered for the end.
  std::size_t admit(std::string_view data, std::int64_t now_ns);
  /// Why something was not shown.
  Reason reason() const { return reason_; }
  /// The end of the output since something was last shown; to be shown when the stream has ended.
  std::string rest() { return rest_.take(); }

 private:
  static constexpr std::size_t kRest = 256u << 10;
  const LogLimits limits_;
  const std::int64_t began_ns_;
  std::int64_t printed_ = 0;
  Reason reason_ = Reason::size;
  TailBuffer rest_{kRest};
};

/// The output of one step: shown clipped, and kept on disk as its head and its tail with a line about the part left out
/// between them. Memory and disk are bounded whatever comes. Secrets are replaced on the way in, so that nothing behind
/// it has to know of them. Not thread-safe.
class StepLog {
 public:
  using Show = std::function<void(LogStream, std::string_view)>;
  /// Opens the file of the log when something is to be written. Throws Error.
  using OpenFile = std::function<UniqueFd()>;

  /// `masked` outlives it; null: nothing is replaced.
  StepLog(const LogLimits& limits, std::int64_t began_ns, OpenFile open, Show show,
          const SecretValues* masked = nullptr);
  ~StepLog();
  StepLog(const StepLog&) = delete;
  StepLog& operator=(const StepLog&) = delete;

  void write(LogStream stream, std::string_view data, std::int64_t now_ns);
  /// The output does not go on from here, but other output may come.
  void end_attempt();
  /// Shows the end of the part that was not shown and completes the file. To be called once; write() is over then.
  void close();
  /// Whether there is a file.
  bool is_kept() const { return kept_; }

 private:
  void admit(LogStream stream, std::string_view data);
  void keep(std::string_view data);
  void put(std::string_view data);
  static std::size_t index(LogStream stream) { return stream == LogStream::out ? 0 : 1; }

  const LogLimits limits_;
  const OpenFile open_;
  const Show show_;
  std::array<SecretMask, 2> masks_;
  std::int64_t now_ns_;  ///< of the last output
  std::array<StreamClip, 2> clips_;
  std::array<bool, 2> said_{};  ///< by reason
  UniqueFd file_;
  std::uint64_t head_ = 0;
  TailBuffer tail_;
  bool kept_ = false, broken_ = false;
};

}  // namespace cbuild::solver::ops
