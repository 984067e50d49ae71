// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cache/content/tree.h"
#include "cli/dap/dap_channel.h"
#include "solver/graph/graph.h"

namespace cbuild::cli {

/// What a debugger can look at while a build stands still, as a tree whose nodes are made when they are opened.
class DapVariables {
 public:
  /// "Arguments" of a step, and the files it begins with where `files` has them.
  DapJson scopes(const solver::Vertex& vertex, std::shared_ptr<const cache::TreeView> files);
  /// The children of a node; an empty list for an unknown one.
  DapJson children(std::int64_t reference) const;
  /// Forgets all nodes.
  void clear() { nodes_.clear(); }

 private:
  using Node = std::function<DapJson()>;
  std::int64_t add(Node node);
  DapJson variable(const std::string& name, const std::string& value, Node node = nullptr);
  DapJson command(const solver::ExecOp& op);
  DapJson directory(const std::shared_ptr<const cache::TreeView>& files, const std::string& path);
  DapJson file(const std::shared_ptr<const cache::TreeView>& files, const std::string& path,
               const cache::TreeView::Entry& entry);

  std::vector<Node> nodes_;
};

}  // namespace cbuild::cli
