// SPDX-License-Identifier: MIT
//
// weft.h: all of Weft, but for three headers that a program includes by name:
// fork.h and sort.h, which are mostly inline code, and tls.h, which belongs to
// a library of its own.
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include <weft/base.h>
#include <weft/version.h>
#include <weft/error.h>
#include <weft/future.h>
#include <weft/task.h>
#include <weft/scope.h>
#include <weft/sync.h>
#include <weft/thread.h>
#include <weft/process.h>
#include <weft/job.h>
#include <weft/executor.h>
#include <weft/work.h>
#include <weft/combine.h>
#include <weft/parallel.h>
#include <weft/graph.h>
#include <weft/process_pool.h>
#include <weft/program.h>
#include <weft/io.h>
#include <weft/stream.h>
#include <weft/net.h>
#include <weft/dns.h>
#include <weft/queue.h>
#include <weft/signal.h>
#include <weft/arena.h>
#include <weft/connection.h>
#include <weft/buffer.h>
#include <weft/manager.h>
#include <weft/channel.h>
#include <weft/select.h>
#include <weft/timer.h>
#include <weft/local.h>

#endif
