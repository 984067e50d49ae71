// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/progress.h"
#include "solver/graph/explain.h"
#include "solver/graph/graph.h"

namespace cbuild::solver {

/// A finished result, as the store knows it. `id` opens it there; `identity` is the part that the keys of its readers
/// are made of, the same for results with the same content. The default value is the empty root.
struct Result {
  Digest id;
  Digest identity;
  bool operator==(const Result&) const = default;
};

/// A result that a store found, and when and in what time it was made.
struct CachedResult {
  Result result;
  std::int64_t created_ns = 0;
  std::int64_t duration_ns = 0;
  bool operator==(const CachedResult&) const = default;
};

/// A step's exclusive right to run, across all processes on the store. Released by destruction or death.
class Claim {
 public:
  virtual ~Claim() = default;
};

struct Publication {
  Digest definition_key;  ///< empty: the step has none
  Digest content_key;
  CachedResult cached;
  std::string step;            ///< step_identity()
  Digest base;                 ///< id of the result it works on (input 0); empty for none
  std::vector<KeyPart> parts;  ///< empty when an old record is found under one more key: it keeps its own
};

/// Finds and keeps results. Thread-safe.
class ResultStore {
 public:
  virtual ~ResultStore() = default;
  /// A record whose result still exists whole; nullopt is a miss. Pins the result for this build.
  virtual std::optional<CachedResult> find(const Digest& key) = 0;
  /// Makes a record findable under its keys. Links a second key to an old record too. The content key finds the newest
  /// record from now on; definition keys that found an older one with another result go on finding that.
  virtual void publish(const Publication& publication) = 0;
  /// nullptr if another process runs this key now.
  virtual std::unique_ptr<Claim> try_claim(const Digest& key) = 0;
  /// Waits for it; nullptr when `cancelled` became true.
  virtual std::unique_ptr<Claim> wait_claim(const Digest& key, const std::function<bool()>& cancelled) = 0;
  /// Why `wanted`'s keys missed: compared with the most similar step built before.
  virtual Reason explain_miss(const Publication& wanted) = 0;
};

/// The failure of a step: `error`, and the exit code of the command.
struct StepFailure {
  Error error;
  int exit_code = 0;
  std::string log_path;
};
/// A source that was known before this build: there was nothing to do, and it is shown as cached.
struct KnownSource {
  Result result;
};
using Outcome = std::variant<Result, KnownSource, StepFailure>;
using Completion = std::function<void(Outcome)>;

struct ExecuteRequest {
  VertexId id = 0;
  const Vertex* vertex = nullptr;  ///< lives as long as the build
  std::vector<Result> inputs;      ///< by input index; the empty root where the input is kNoInput
  Digest key;                      ///< content key; names the result
};

/// Carries out ops. Thread-safe. Nothing is thrown out of execute(): failures go to the completion.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Digest of the selection of `selector` from a source that is read in place (LocalSource), before anything ran.
  /// Throws Error (a source is missing). `parts` gets a line for each path.
  virtual Digest digest_local(const Vertex& source, const Selector& selector, std::vector<KeyPart>* parts) = 0;
  /// Digest of the selection of `selector` from a finished result. May read files; called on a worker. Throws Error.
  /// `parts` gets a line for each path, or nothing when the digest was known already.
  virtual Digest digest_result(const Result& result, const Selector& selector, std::vector<KeyPart>* parts) = 0;
  /// A result found by content under `request`'s key, put on the results that the inputs have in this build: the layers
  /// that the step itself made are `found`'s, those below are the inputs'. Moves no data. Throws Error.
  virtual Result rebase(const ExecuteRequest& request, const Result& found) = 0;
  /// Starts work and returns; `done` is called exactly once from any thread, maybe before execute() returns.
  /// Work that waits (a command, a download) holds no worker thread.
  virtual void execute(const ExecuteRequest& request, Completion done) = 0;
  /// Ends running steps: their completions come with ErrorCode::cancelled. Idempotent.
  virtual void cancel() = 0;
};

}  // namespace cbuild::solver
