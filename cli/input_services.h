// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cli/flags/options.h"
#include "engine/services.h"
#include "frontend/lower/lower.h"

namespace cbuild::cli {

/// The services for reading a Dockerfile, its contexts and its bases, for commands that run no step. Session, store and
/// registries are set up when the first of them is asked for: most files need none.
class InputServices {
 public:
  /// `line` must outlive it.
  explicit InputServices(const BuildLine& line);
  ~InputServices();

  engine::Services& all();
  /// Sets up nothing before an image is asked for.
  frontend::ImageResolver& images();

 private:
  struct Impl;
  Impl& impl();

  const BuildLine& line_;
  std::unique_ptr<Impl> impl_;
  std::unique_ptr<frontend::ImageResolver> images_;
};

}  // namespace cbuild::cli
