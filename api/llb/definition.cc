// SPDX-License-Identifier: Apache-2.0
// A definition is a list of messages that name each other by the digests of their bytes, so it has no cycles, and who
// cannot be reached from the result does not count. Here the digests become places in a list, inputs first; names and
// places in the client's source are found, because every later message needs them. A client may know more than this
// program: whatever is not known here is refused, as it may change the meaning.
#include "api/llb/definition.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "api/llb/capabilities.h"
#include "api/llb/op_names.h"
#include "api/llb/unknown_fields.h"
#include "base/error.h"
#include "base/text.h"

namespace cbuild::api {
namespace {

constexpr int kMaxOps = 100'000, kMaxInputs = 10'000, kMaxSources = 1'000;
constexpr std::size_t kMaxOpBytes = 64u << 20;
constexpr char kCustomName[] = "llb.customname";

Error malformed(const std::string& what) { return {ErrorCode::input, cat("LLB definition: ", what)}; }

/// The texts that operations were made from.
class Sources {
 public:
  explicit Sources(const pb::Source& source) : source_(source) {
    if (source.infos_size() > kMaxSources) throw malformed(cat(source.infos_size(), " source files"));
    for (const pb::SourceInfo& info : source.infos())
      texts_.push_back(std::make_shared<const SourceText>(info.filename(), info.data()));
  }

  std::vector<Span> spans(const std::string& digest) const {
    std::vector<Span> out;
    const auto found = source_.locations().find(digest);
    if (found == source_.locations().end()) return out;
    for (const pb::Location& location : found->second.locations()) {
      if (location.source_index() < 0 || location.source_index() >= source_.infos_size())
        throw malformed(cat("source file ", location.source_index(), " of ", source_.infos_size()));
      for (const pb::Range& range : location.ranges())
        out.push_back(span(texts_[static_cast<std::size_t>(location.source_index())], range));
    }
    return out;
  }

 private:
  static std::uint32_t line_number(const SourceText& text, int line) {
    return std::clamp<std::uint32_t>(static_cast<std::uint32_t>(std::max(line, 1)), 1, text.line_count());
  }
  static std::size_t offset(const SourceText& text, const pb::Position& position, bool to_line_end) {
    const std::string_view line = text.line(line_number(text, position.line()));
    const auto begin = static_cast<std::size_t>(line.data() - text.text().data());
    const auto column = static_cast<std::size_t>(std::max(position.character(), 0));
    return begin + (to_line_end ? line.size() : std::min(column, line.size()));
  }
  /// An end without a column is the end of its line.
  static Span span(const std::shared_ptr<const SourceText>& text, const pb::Range& range) {
    const std::size_t begin = offset(*text, range.start(), false);
    return {text, begin, std::max(begin, offset(*text, range.end(), range.end().character() == 0))};
  }

  const pb::Source& source_;
  std::vector<std::shared_ptr<const SourceText>> texts_;
};

class Decoder {
 public:
  explicit Decoder(const pb::Definition& definition) : definition_(definition), sources_(definition.source()) {}

  Decoded run() {
    if (definition_.def_size() == 0) return {};
    if (definition_.def_size() > kMaxOps) throw malformed(cat(definition_.def_size(), " operations"));
    for (const std::string& bytes : definition_.def()) read(bytes);
    const pb::Op& last = all_.back().op;
    if (last.op_case() != pb::Op::OP_NOT_SET || last.inputs_size() > 1)
      throw malformed("the last operation must have one input, the result, and do nothing");
    if (last.inputs_size() == 0) return {};
    out_.output = last.inputs(0).index();
    collect(find(all_.back(), 0));
    return std::move(out_);
  }

 private:
  enum class State { unseen, open, done };

  void read(const std::string& bytes) {
    DecodedOp decoded;
    decoded.digest = sha256(bytes);
    const std::string what = cat("operation ", decoded.digest.str());
    if (bytes.size() > kMaxOpBytes) throw malformed(cat(what, " has ", bytes.size(), " bytes"));
    if (!decoded.op.ParseFromString(bytes)) throw malformed(cat(what, " is not a protobuf message of type pb.Op"));
    if (decoded.op.inputs_size() > kMaxInputs) throw malformed(cat(what, " has ", decoded.op.inputs_size(), " inputs"));
    const auto metadata = definition_.metadata().find(decoded.digest.str());
    if (metadata != definition_.metadata().end()) decoded.metadata = &metadata->second;
    places_.emplace(decoded.digest, all_.size());
    all_.push_back(std::move(decoded));
  }

  std::size_t find(const DecodedOp& reader, int input) const {
    const pb::Input& wanted = reader.op.inputs(input);
    const auto digest = Digest::parse(wanted.digest());
    const auto found = digest ? places_.find(*digest) : places_.end();
    if (found == places_.end())
      throw malformed(cat("operation ", reader.digest.str(), " has the input ", go_quote(wanted.digest()),
                          ", which is not in the definition"));
    if (wanted.index() < 0)
      throw malformed(cat("operation ", reader.digest.str(), ": output ", wanted.index(), " of an input"));
    return found->second;
  }

  /// Depth first without recursion: a chain may be as long as the definition.
  void collect(std::size_t result) {
    states_.assign(all_.size(), State::unseen);
    moved_.assign(all_.size(), 0);
    std::vector<std::size_t> todo = {result};
    while (!todo.empty()) {
      const std::size_t at = todo.back();
      if (states_[at] == State::unseen) {
        states_[at] = State::open;
        for (int i = 0; i < all_[at].op.inputs_size(); ++i)
          if (const std::size_t input = find(all_[at], i); states_[input] != State::done) {
            if (states_[input] == State::open) throw malformed("an operation is an input of itself");
            todo.push_back(input);
          }
        continue;
      }
      todo.pop_back();
      if (std::exchange(states_[at], State::done) != State::done) add(at);
    }
  }

  void add(std::size_t at) {
    DecodedOp& op = all_[at];
    for (int i = 0; i < op.op.inputs_size(); ++i) op.inputs.push_back(moved_[find(op, i)]);
    describe(op);
    check(op);
    moved_[at] = out_.ops.size();
    out_.ops.push_back(std::move(op));
  }

  void describe(DecodedOp& op) const {
    op.spans = sources_.spans(op.digest.str());
    op.name = op_name(op.op, [&](std::int64_t input) {
      const auto number = static_cast<std::size_t>(input);
      return input >= 0 && number < op.inputs.size() ? out_.ops[op.inputs[number]].name : std::string("?");
    });
    if (op.metadata == nullptr) return;
    const auto custom = op.metadata->description().find(kCustomName);
    if (custom != op.metadata->description().end()) op.name = custom->second;
  }

  static void check(const DecodedOp& op) {
    if (const auto unknown = find_unknown(op.op)) reject(op, *unknown, "this builder does not know it");
    if (op.metadata == nullptr) return;
    if (const auto unknown = find_unknown(*op.metadata))
      reject(op, cat("metadata.", *unknown), "this builder does not know it");
    for (const auto& [name, needed] : op.metadata->caps())
      if (needed && !is_known_capability(name))
        reject(op, "metadata.caps", cat("the operation needs ", go_quote(name), ", which this builder does not have"));
  }

  const pb::Definition& definition_;
  const Sources sources_;
  std::vector<DecodedOp> all_;  ///< as in the definition
  std::unordered_map<Digest, std::size_t> places_;
  std::vector<State> states_;
  std::vector<std::size_t> moved_;  ///< from all_ to the places in out_
  Decoded out_;
};

}  // namespace

Decoded decode(const pb::Definition& definition) { return Decoder(definition).run(); }

std::string place_of(const DecodedOp& op) {
  if (op.spans.empty()) return op.name;
  const Span& span = op.spans.front();
  return cat(op.name, " (", span.source->name(), ":", span.source->position(span.begin).line, ")");
}

void reject(const DecodedOp& op, std::string_view field, std::string_view problem, std::string_view hint) {
  throw Error(ErrorCode::input, cat(field, ": ", problem)).with_hint(std::string(hint)).add_context(place_of(op));
}

}  // namespace cbuild::api
