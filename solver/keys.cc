// SPDX-License-Identifier: Apache-2.0
#include "solver/keys.h"

#include <variant>

#include "base/error.h"
#include "base/text.h"
#include "solver/graph/key_format.h"

// Both keys are H(op bytes, one entry per input); they differ in the entry for an input. The definition key takes the
// input's own definition key and the place that is read, so it needs no result; the content key takes the content that
// is read and not its place.
namespace cbuild::solver {

namespace {

enum InputTag : std::uint8_t { kAbsent, kLocal, kDefinition, kWhole, kSelected };

CanonicalWriter begin_key(const char* kind, const Vertex& vertex) {
  CanonicalWriter writer;
  writer.text(kind).number(kKeyFormat).text(canonical(vertex.op)).number(vertex.inputs.size());
  return writer;
}

/// A failure to read `input` says which one it was.
template <typename Read>
Digest read_from(const Vertex& input, const Read& read) {
  try {
    return read();
  } catch (Error& error) {
    if (error.code() != ErrorCode::cancelled) error.add_context(shown_origin(input));
    throw;
  }
}

}  // namespace

LocalSelections::Key LocalSelections::key(VertexId reader, std::size_t index) const {
  const Vertex& vertex = graph_[reader];
  return {vertex.inputs[index], canonical(local_selector(vertex.op, index))};
}

const Digest& LocalSelections::add(VertexId reader, std::size_t index) {
  Key wanted = key(reader, index);
  if (const auto found = entries_.find(wanted); found != entries_.end()) return found->second;
  const Vertex& source = graph_[wanted.first];
  const Digest digest = read_from(
      source, [&] { return executor_.digest_local(source, local_selector(graph_[reader].op, index), nullptr); });
  return entries_.emplace(std::move(wanted), digest).first->second;
}

const Digest& LocalSelections::at(VertexId reader, std::size_t index) const {
  const auto found = entries_.find(key(reader, index));
  CBUILD_CHECK(found != entries_.end());
  return found->second;
}

bool is_local_input(const Graph& graph, VertexId reader, std::size_t index) {
  const VertexId input = graph[reader].inputs[index];
  return input != kNoInput && std::holds_alternative<LocalSource>(graph[input].op);
}

Digest definition_key(const Graph& graph, VertexId id, const std::vector<Digest>& keys, LocalSelections& locals) {
  const Vertex& vertex = graph[id];
  if (std::holds_alternative<LocalSource>(vertex.op)) return {};
  CanonicalWriter writer = begin_key("cbuild.definition", vertex);
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i) {
    if (vertex.inputs[i] == kNoInput) {
      writer.tag(kAbsent);
    } else if (is_local_input(graph, id, i)) {
      writer.tag(kLocal).digest(locals.add(id, i));
    } else {
      writer.tag(kDefinition).text(canonical(selector(vertex.op, i))).digest(keys[vertex.inputs[i]]);
    }
  }
  return writer.hash();
}

ContentKey content_key(const Graph& graph, VertexId id, const std::vector<Result>& inputs,
                       const LocalSelections& locals, Executor& executor) {
  const Vertex& vertex = graph[id];
  CanonicalWriter writer = begin_key("cbuild.content", vertex);
  ContentKey result;
  result.parts = op_parts(vertex);
  for (std::size_t i = 0; i < vertex.inputs.size(); ++i) {
    if (vertex.inputs[i] == kNoInput) {
      writer.tag(kAbsent);
      continue;
    }
    const Vertex& input = graph[vertex.inputs[i]];
    const Selector wanted = selector(vertex.op, i);
    std::vector<KeyPart> read;
    Digest digest;
    if (is_local_input(graph, id, i)) {
      digest = locals.at(id, i);
      (void)read_from(input, [&] { return executor.digest_local(input, local_selector(vertex.op, i), &read); });
      writer.tag(kLocal);
    } else if (wanted.kind == Selector::Kind::whole) {
      digest = inputs[i].identity;
      writer.tag(kWhole);
    } else {
      digest = read_from(input, [&] { return executor.digest_result(inputs[i], wanted, &read); });
      writer.tag(kSelected);
    }
    writer.digest(digest);
    if (wanted.kind == Selector::Kind::whole && !is_local_input(graph, id, i)) {
      result.parts.push_back(input_part(input, i, digest));
      continue;
    }
    for (KeyPart& part : selection_parts(origin_name(input), digest, std::move(read)))
      result.parts.push_back(std::move(part));
  }
  result.key = writer.hash();
  return result;
}

}  // namespace cbuild::solver
