// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace cbuild::api {

/// An archive under way to a client. Not thread-safe, except that fd() may be written to by another thread.
class ArchiveSender {
 public:
  virtual ~ArchiveSender() = default;
  /// The write end of a pipe, owned by this object. Once the client is gone, writing fails with EPIPE: the program
  /// ignores SIGPIPE.
  virtual int fd() const = 0;
  /// Closes fd() and waits until the client has everything and says so. Duplicates of fd() must be closed before.
  /// Throws the client's Error. Once only; without it the client is told that the archive is not whole.
  virtual void finish() = 0;
};

}  // namespace cbuild::api
