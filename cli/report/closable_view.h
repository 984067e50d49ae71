// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>

#include "base/progress.h"

namespace cbuild::cli {

/// A view that can end before the build does, so that the screen is free; later events are dropped.
class ClosableView final : public ProgressSink {
 public:
  explicit ClosableView(std::unique_ptr<ProgressSink> view) : view_(std::move(view)) {}
  void on_event(const ProgressEvent& event) override {
    const std::lock_guard lock(mutex_);
    if (view_) view_->on_event(event);
  }
  void close() {
    const std::lock_guard lock(mutex_);
    view_.reset();
  }

 private:
  std::mutex mutex_;  // guards view_
  std::unique_ptr<ProgressSink> view_;
};

}  // namespace cbuild::cli
