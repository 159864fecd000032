# SPDX-License-Identifier: MIT
# results.pm: what `weft bench` has written, for bench/report and bench/plot.
#
# The figure of a contender is the least of its samples: on a machine that
# others share, what is above it is theirs. A ratio is the median of the ratios
# of neighbors, since contenders take turns and a machine changes its pace.
package results;
use strict;
use warnings;
use JSON::PP;

sub median {
    my @v = sort { $a <=> $b } @_;
    return unless @v;
    return @v % 2 ? $v[ @v / 2 ] : ($v[ @v / 2 - 1 ] + $v[ @v / 2 ]) / 2;
}

# Of two rows. A sample of 0 takes no part.
sub ratio {
    my ($x, $y) = @_;
    return unless $x && $y && $x->{samples} && $y->{samples};
    my ($v, $w) = ($x->{samples}, $y->{samples});
    my $n = @$v < @$w ? @$v : @$w;
    return median(map { $v->[$_] / $w->[$_] }
        grep { $w->[$_] > 0 } 0 .. $n - 1);
}

# The files at a path: a file, or those of a folder.
sub files_of {
    my ($path) = @_;
    return ($path) unless -d $path;
    return sort glob("$path/*.json");
}

# One file: { machine, results }, as `weft bench` writes it, or just lines, as
# the programs print them.
sub read_file {
    my ($self, $file) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    my $text = do { local $/; <$in> };
    my $parser = JSON::PP->new->utf8;
    $parser->incr_parse($text);
    while (my $part = eval { $parser->incr_parse }) {
        my @rows = $part->{results} ? @{ $part->{results} } : ($part);
        $self->{machine} = $part->{machine}
            if $part->{machine}
            && ($self->{machine}{date} // '') lt $part->{machine}{date};
        $self->keep($_) for @rows;
    }
    print STDERR "$file: not JSON to its end\n" if $@;
}

sub keep {
    my ($self, $row) = @_;
    return unless defined $row->{name};
    if (($row->{unit} // '') eq 'instructions') {
        push @{ $self->{counts} }, $row;
        return;
    }
    my $name = $row->{name};
    push @{ $self->{order} }, $name unless $self->{rows}{$name};
    push @{ $self->{rows}{$name} }, $row;
    for my $key (qw(compiler flags library)) {
        $self->{$key}{ $row->{$key} }++ if length($row->{$key} // '');
    }
    my $mode = ($row->{parameters} // {})->{mode};
    $self->{modes}{$mode}++ if $mode;
}

# What is known of one question: its rows, the first of the floors, which is
# the one to compare with, and the best of the peers.
sub question {
    my ($self, $name) = @_;
    my %s = (name => $name, label => $name, rows => $self->{rows}{$name});
    for my $row (@{ $s{rows} }) {
        my $role = $row->{role} // '';
        $s{what} //= $row->{what};
        $s{unit} //= $row->{unit};
        $s{parameters} //= $row->{parameters};
        $s{lost} = 1 if $role eq 'weft' && $row->{failed};
        next unless defined $row->{min};
        push @{ $s{wefts} }, $row if $role eq 'weft';
        $s{floor} //= $row if $role eq 'floor';
        $s{peer} = $row
            if $role eq 'peer'
            && (!$s{peer} || $row->{min} < $s{peer}{min});
        $s{by}{ $row->{contender} } = $row;
    }
    return \%s;
}

# The question with each of Weft's rows, as there may be two ways to do it in
# Weft: how it stands to the others, its bar, and how far over that it is.
sub summaries {
    my ($q) = @_;
    my @wefts = @{ $q->{wefts} // [] };
    return $q unless @wefts;
    return map {
        my %s = (%$q, weft => $_);
        (my $way = $_->{contender}) =~ s/^weft\W*//;
        $s{label} .= " $way" if length $way;
        $s{to_floor} = ratio($_, $q->{floor});
        $s{to_peer} = ratio($_, $q->{peer});
        add_bar(\%s, $_) if $_->{bar};
        \%s;
    } @wefts;
}

sub add_bar {
    my ($s, $weft) = @_;
    my $against = $weft->{bar_against};
    $s->{bar_text} = number($weft->{bar});
    if (!defined $against) {
        $s->{bar} = $weft->{bar};
        $s->{over} = $weft->{min} / $s->{bar};
        return;
    }
    $s->{bar_text} .= " x $against";
    my $other = $s->{by}{$against} or return;
    $s->{bar} = $weft->{bar} * $other->{min};
    my $ratio = ratio($weft, $other);
    $s->{over} = $ratio / $weft->{bar} if defined $ratio;
}

sub load {
    my ($class, @paths) = @_;
    my $self = bless { machine => {}, order => [], rows => {}, counts => [] },
        $class;
    $self->read_file($_) for map { files_of($_) } @paths;
    die "no results in @paths\n" unless @{ $self->{order} }
        || @{ $self->{counts} };
    $self->{questions} = [map { $self->question($_) } @{ $self->{order} }];
    $self->{summaries} = [map { summaries($_) } @{ $self->{questions} }];
    return $self;
}

# The program that asks a question: what stands before the slash.
sub group {
    my ($name) = @_;
    return (split m{/}, $name)[0];
}

# The causes of losses, in the file `causes` beside this one: patterns of
# labels, and why what they match is lost.
sub causes {
    my (@causes, $now);
    my $file = (__FILE__ =~ s{[^/]*$}{}r) . 'causes';
    open my $in, '<:utf8', $file or die "$file: $!\n";
    while (<$in>) {
        next if /^#/ || !/\S/;
        if (s/^\s+//) {
            $now->{text} .= $_;
        } else {
            my @globs = /\S+(?: \*)?/g;
            my @patterns = map { s/\\\*/.*/gr } map { quotemeta } @globs;
            $now = { text => '', match => join('|', @patterns) };
            push @causes, $now;
        }
    }
    return @causes;
}

# The name of a question's picture: its program, and its unit, where the first
# question of that program has another.
sub picture {
    my ($self, $q) = @_;
    my $group = group($q->{name});
    my ($first) = grep { group($_->{name}) eq $group && $_->{unit} }
        @{ $self->{questions} };
    return $group
        if !$q->{unit} || !$first || $q->{unit} eq $first->{unit};
    return "$group-" . $q->{unit} =~ s/\W/-/gr;
}

# Three digits that count, thousands apart; two of what is small.
sub number {
    my ($x) = @_;
    return '-' unless defined $x;
    return sprintf '%.2g', $x if $x > 0 && $x < 0.095;
    my $digits = abs($x) >= 100 ? 0 : abs($x) >= 10 ? 1 : 2;
    my $text = sprintf "%.${digits}f", $x;
    1 while $text =~ s/^(-?\d+)(\d{3})/$1,$2/;
    return $text;
}

1;
