// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "solver/executor.h"
#include "solver/graph/graph.h"

namespace cbuild::solver {

/// Digests of selections from directories that are read in place, each selection computed once. add() by one thread;
/// after that at() by any.
class LocalSelections {
 public:
  LocalSelections(const Graph& graph, Executor& executor) : graph_(graph), executor_(executor) {}

  /// The selection of `reader` from its input `index`, a LocalSource. Throws as Executor::digest_local() does.
  const Digest& add(VertexId reader, std::size_t index);
  /// The same, once it was added.
  const Digest& at(VertexId reader, std::size_t index) const;

 private:
  using Key = std::pair<VertexId, std::string>;
  Key key(VertexId reader, std::size_t index) const;

  const Graph& graph_;
  Executor& executor_;
  std::map<Key, Digest> entries_;
};

/// True if input `index` of `reader` is a directory that is read in place.
bool is_local_input(const Graph& graph, VertexId reader, std::size_t index);

/// Definition key of `id`; `keys` holds those of its inputs. Empty for a LocalSource, which has none. Fills
/// `locals`.
Digest definition_key(const Graph& graph, VertexId id, const std::vector<Digest>& keys, LocalSelections& locals);

struct ContentKey {
  Digest key;
  std::vector<KeyPart> parts;  ///< its make-up, in order
};

/// Content key of `id`, whose inputs gave `inputs` (by input index; local and absent ones are not looked at).
/// Thread-safe; may read files. Throws as Executor::digest_result() does.
ContentKey content_key(const Graph& graph, VertexId id, const std::vector<Result>& inputs,
                       const LocalSelections& locals, Executor& executor);

/// The lines in a key's make-up of a vertex' op itself (key_parts.cc). Values of variables, which may be confidential,
/// appear as digests.
std::vector<KeyPart> op_parts(const Vertex& vertex);
/// The line of an input that counts as a whole: an image or the result of an earlier step.
KeyPart input_part(const Vertex& input, std::size_t index, const Digest& identity);
/// Where files of an input come from, for people: "" for the build context, "stage build", "image alpine:3".
std::string origin_name(const Vertex& input);
/// The same for the text of an error: never empty.
std::string shown_origin(const Vertex& input);

}  // namespace cbuild::solver
